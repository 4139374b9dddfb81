"""Questions of other forms than rating one item, compared by what they tell per second."""

"""Item factors from answers that stay on people's devices, differentially private for each of them."""

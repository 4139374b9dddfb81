"""What a stranger makes of public files is what the benchmarks read."""

from __future__ import annotations

import json

import pytest

from benchmarks import _data, _make_set, _sequences
from palate import Dataset

SOURCES: dict[str, dict[str, str]] = {
    "steam-play": {
        "steam-200k.csv": "7,Portal,purchase,1.0,0\n7,Portal,play,3.5,0\n7,Portal,play,4.5,0\n8,Dota 2,play,1.5,0\n"
    },
    "lastfm-hetrec": {
        "user_artists.dat": "userID\tartistID\tweight\n7\t51\t13883\n8\t52\t1\n",
        "artists.dat": 'id\tname\turl\tpictureURL\n51\tDuran "2" Duran\tu\tp\n52\tMorcheeba\tu\tp\n',
        "user_friends.dat": "userID\tfriendID\n7\t8\n8\t7\n",
    },
    "goodbooks": {
        "ratings.csv": "user_id,book_id,rating\n7,1,5\n8,2,3\n",
        "books.csv": "book_id,title,authors,original_publication_year,language_code\n1,A,B,2008.0,eng\n2,C,D,,\n",
    },
    "online-retail": {
        "Online Retail.csv": "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,HEART,6,12/1/10 8:26,2.55,7,UK\nC536366,85123A,HEART,-6,12/1/10 9:26,2.55,7,UK\n"
        "536367,POST,POSTAGE,1,12/1/10 9:30,2.55,8,UK\n536368,71053,LANTERN,1,2010-12-02 09:30:00,2.55,8,UK\n"
        "536369,71053,LANTERN,1,12/2/10 9:30,2.55,,UK\n"
    },
    "deezer-ro": {"RO_genres.json": json.dumps({"7": ["Pop", "Jazz"], "8": ["Pop", "Pop"]})},
    "kuairand-pure-cut": {
        "log_standard_4_22_to_5_08_pure.csv": "user_id,video_id,time_ms,is_click,is_like,is_hate,long_view,"
        "play_time_ms,duration_ms\n7,1,1650839916123,1,0,0,0,5000,20000\n8,2,1650839917123,0,0,1,0,0,9000\n",
        "video_features_basic_pure.csv": "video_id,video_type,tag\n1,NORMAL,3\n2,AD,\n",
    },
    "movietweetings": {
        "ratings.dat": "7::0068646::10::1381620027\n8::0110912::4::1381620028\n",
        "movies.dat": "0068646::The Godfather (1972)::Crime|Drama\n0110912::Pulp Fiction (1994)::\n",
    },
}
ROWS = {"steam-play": 2, "online-retail": 2, "deezer-ro": 3}


@pytest.mark.parametrize("name", SOURCES)
def test_public_files_become_what_the_benchmarks_read(name, tmp_path, monkeypatch):
    for file, text in SOURCES[name].items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    _make_set.make(name, tmp_path, tmp_path / "data")
    monkeypatch.setenv("PALATE_DATA", str(tmp_path / "data"))
    data = _sequences.load_events(name)
    assert isinstance(data, Dataset)
    assert set(data.interactions["user_id"]) == {"7", "8"} and data.interactions.height == ROWS.get(name, 2)
    assert set(data.interactions["item_id"]) <= set(data.items["item_id"])
    assert all(data.item_texts())


def test_votes_of_one_conversation(tmp_path, monkeypatch):
    folder = tmp_path / "a.b"
    folder.mkdir()
    (folder / "comments.csv").write_text(
        "timestamp,comment-id,author-id,moderated,comment-body\n1,0,0,1,More trees\n2,1,0,-1,Spam\n"
    )
    (folder / "votes.csv").write_text("timestamp,comment-id,voter-id,vote\n3,0,7,1\n2,0,7,-1\n4,1,7,1\n5,0,8,-1\n")
    _make_set.make("polis", tmp_path, tmp_path / "data")
    monkeypatch.setenv("PALATE_DATA", str(tmp_path / "data"))
    rows = _data.load("polis/a.b").interactions.select("user_id", "rating").sort("user_id").rows()
    assert rows == [("7", 1.0), ("8", -1.0)]

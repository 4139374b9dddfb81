"""Each public format in a small file made here, and in the real files where they lie beside the checkout."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.exceptions import PanicException

from palate.datasets import Dataset
from palate.datasets.files import delimited
from palate.datasets.readers import jester
from palate.errors import DataError

SharedData = Callable[[str], Path]


def folder(path: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (path / name.replace("__", ".", 1).replace("__", ".")).write_bytes(data)
    return path


def events(data: Dataset) -> dict[str, int]:
    counted = data.interactions["event"].value_counts()
    return dict(zip(counted["event"], counted["count"], strict=True))


def test_movielens_100k(tmp_path: Path) -> None:
    flags = "|".join(["0", "1", "0", "0", "0", "1", *["0"] * 13])
    unknown = "|".join(["1", *["0"] * 18])
    item = f"1|Les Mis\xe9rables (1995)|01-Jan-1995||http://x|{flags}\n2|?||||{unknown}\n".encode("latin-1")
    user = "7|24|M|technician|85711\n"
    data = Dataset.load(folder(tmp_path, u__data="7\t1\t3\t881250949\n", u__item=item, u__user=user))
    assert data.interactions.rows() == [("7", "1", 3.0, None, 881_250_949.0)]
    assert data.items["title"].to_list() == ["Les Misérables (1995)", "?"]
    assert data.items["category"].to_list() == ["Action|Comedy", ""]
    assert data.users.row(0, named=True)["occupation"] == "technician"


def test_movielens_1m(tmp_path: Path) -> None:
    movies = "1::Toy Story: A Film (1995)::Animation|Comedy\n2::X::(no genres listed)\n".encode("latin-1")
    files = {"ratings__dat": "1::1::5::978300760\n", "movies__dat": movies, "users__dat": "1::F::1::10::48067\n"}
    data = Dataset.load(folder(tmp_path, **files))
    assert data.interactions.rows() == [("1", "1", 5.0, None, 978_300_760.0)]
    assert data.items["title"].to_list() == ["Toy Story: A Film (1995)", "X"]
    assert data.items["category"].to_list() == ["Animation|Comedy", ""]
    assert data.users.columns == ["user_id", "gender", "age", "occupation", "zip_code"]


def test_movietweetings_users(tmp_path: Path) -> None:
    data = Dataset.load(folder(tmp_path, ratings__dat="1::0114508::8::1381006850\n", users__dat="1::139564917\n"))
    assert data.users.rows() == [("1", "139564917")]


def test_movielens_latest(tmp_path: Path) -> None:
    files = {
        "ratings__csv": "userId,movieId,rating,timestamp\n1,2,4.5,964982703\n",
        "movies__csv": 'movieId,title,genres\n2,"American President, The (1995)",Comedy|Drama\n3,X,(no genres listed)',
    }
    data = Dataset.load(folder(tmp_path, **files))
    assert data.interactions.rows() == [("1", "2", 4.5, None, 964_982_703.0)]
    assert data.items.rows() == [
        ("2", "American President, The (1995)", "", "Comedy|Drama"),
        ("3", "X", "", ""),
    ]


def test_mind(tmp_path: Path) -> None:
    behaviors = (
        "1\tU1\t11/15/2019 8:55:22 AM\tN1 N2\tN3-1 N4-0\n"
        "2\tU1\t11/15/2019 12:00:00 PM\tN1 N2\tN5-0\n"
        "3\tU2\t11/15/2019 12:00:00 PM\t\tN3-1 N4\n"
        "4\tU2\t15/11/2019 12:00:00 PM\t\tN3-1\n"
        "5\tU2\t11/15/2019 12:00:00 AM\t\tN3-1\n"
    )
    news = 'N3\tnews\tnewsworld\tA "title"\tAn abstract\thttps://x\t[]\t[]\n'
    data = Dataset.load(folder(tmp_path, behaviors__tsv=behaviors, news__tsv=news))
    day = 1_573_776_000.0
    assert data.interactions.select("user_id", "item_id", "event", "timestamp").rows() == [
        ("U1", "N1", "click", None),
        ("U1", "N2", "click", None),
        ("U1", "N3", "click", day + 32_122),
        ("U1", "N4", "skip", day + 32_122),
        ("U1", "N5", "skip", day + 43_200),
        ("U2", "N3", "click", day),
    ]
    assert [(r.line, r.column) for r in data.rejects.rows] == [(3, "impressions"), (4, "timestamp")]
    assert data.items.select("title", "text", "category").row(0) == ('A "title"', "An abstract", "news")


def test_mind_with_an_impression_twice_and_articles_that_nobody_knows(tmp_path: Path) -> None:
    one = "1\tU1\t11/15/2019 8:55:22 AM\t\tN3-1 N4-0\n"
    late = "2\tU1\t11/15/2099 8:55:22 AM\t\tN5-1\n"  # ahead of any clock, and kept as it is claimed
    data = Dataset.load(folder(tmp_path, behaviors__tsv=one + one + late))
    coded = data.coded("event")
    assert (data.rejects.total, data.items.height) == (0, 0)
    assert (coded.item_ids, coded.duplicates) == (["N3", "N4", "N5"], 2)
    assert [coded.item_ids[item] for item in coded.items] == ["N3", "N4", "N5"]


@pytest.mark.parametrize("literal", [False, True])
def test_amazon_of_2014_and_2018(tmp_path: Path, literal: bool) -> None:
    write = repr if literal else json.dumps
    review = {"reviewerID": "U1", "asin": "B1", "overall": 4.0, "unixReviewTime": 1529193600, "reviewText": "Nice"}
    meta = {
        "asin": "B1",
        "title": "A card",
        "category": "['Gift Cards', \"Kid's\", 'Gift Cards']",
        "description": ["One.", "Two."],
        "image": ["https://x/1.jpg"],
        "brand": "Serendipity",
    }
    files = {
        "Gift_Cards_5__json__gz": gzip.compress(write(review).encode()),
        "meta_Gift_Cards__json__gz": gzip.compress(write(meta).encode()),
    }
    data = Dataset.load(folder(tmp_path, **files))
    assert data.interactions.rows() == [("U1", "B1", 4.0, None, 1_529_193_600.0)]
    assert data.items.row(0, named=True) == {
        "item_id": "B1",
        "title": "A card",
        "text": "One. Two.",
        "category": "Gift Cards|Kid's",
        "image_urls": "https://x/1.jpg",
        "brand": "Serendipity",
    }


def test_amazon_of_2023(tmp_path: Path) -> None:
    review = {
        "rating": 5.0,
        "title": "Good",
        "asin": "B1v",
        "parent_asin": "B1",
        "user_id": "U1",
        "timestamp": 1588687728923,
    }
    meta = {"parent_asin": "B1", "title": "A card", "categories": ["Gifts"], "features": ["Fast"], "description": []}
    files = {"Gift_Cards__jsonl": json.dumps(review), "meta_Gift_Cards__jsonl": json.dumps(meta)}
    data = Dataset.load(folder(tmp_path, **files))
    assert data.interactions.rows() == [("U1", "B1", 5.0, None, 1_588_687_728.923)]
    assert data.items.select("item_id", "text", "category").row(0) == ("B1", "Fast", "Gifts")


def test_recbole(tmp_path: Path) -> None:
    files = {
        "ml__inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t881250949\n",
        "ml__item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "2\tToy Story\t1995\tAnimation Comedy\n3\tX\tV\t\n",
        "ml__user": "user_id:token\tage:token\n1\t24\n",
    }
    data = Dataset.load(folder(tmp_path, **files))
    assert data.interactions.rows() == [("1", "2", 3.0, None, 881_250_949.0)]
    assert data.items.select("title", "category").rows() == [("Toy Story (1995)", "Animation|Comedy"), ("X", "")]
    assert data.users.rows() == [("1", "24")]
    assert Dataset.load(tmp_path / "ml.inter").fingerprint() == data.fingerprint()
    (tmp_path / "other.inter").write_text("")
    with pytest.raises(DataError, match=r"holds both ml.inter and other.inter. Give the path of one of them."):
        Dataset.load(tmp_path)


def test_jester_wide(tmp_path: Path) -> None:
    rows = ["2,-7.82,99,9.5", "3,1,2,3", "1,99,10.5,99", "2,99,1,99", "1,x,99,99"]
    joke = "<html><!--begin of joke -->A <b>man</b> &amp; a bar<!--end of joke --></html>"
    files = {"jester-data-1__csv": "\n".join(rows), "jester-data-2__csv": "1,99,99,-1\n", "init2__html": joke}
    data = Dataset.load(folder(tmp_path, **files))
    assert data.interactions.select("user_id", "item_id", "rating").rows() == [
        ("1-1", "1", -7.82),
        ("1-1", "3", 9.5),
        ("1-2", "1", 1.0),
        ("1-2", "2", 2.0),
        ("1-2", "3", 3.0),
        ("2-1", "3", -1.0),
    ]
    assert [str(reject) for reject in data.rejects.rows] == [
        "jester-data-1.csv:3: a rating that is neither from -10 to 10 nor 99 (not rated)",
        "jester-data-1.csv:4: column count: the row announces 2.0 ratings and has others",
        "jester-data-1.csv:5: a rating that is neither from -10 to 10 nor 99 (not rated)",
    ]
    assert data.items.select("item_id", "text").rows() == [("2", "A man & a bar")]


@pytest.mark.parametrize("gap", ["\t", "\t\t"])
def test_jester_long(tmp_path: Path, gap: str) -> None:
    data = Dataset.load(folder(tmp_path, jester_ratings__dat=f"1{gap}5{gap}0.219\n1{gap}7{gap}-9.281\n"))
    assert data.interactions["rating"].to_list() == [0.219, -9.281]


def test_open_bandit(tmp_path: Path) -> None:
    header = ",timestamp,item_id,position,click,propensity_score," + ",".join(f"user_feature_{n}" for n in range(4))
    rows = ["0,2019-11-24 00:00:01+00:00,14,3,0,0.25,aaaaaaaaa,b,c,d", "1,2019-11-24,3,1,1,0.5,aaaaaaaaa,b,c,d"]
    log = "\n".join(
        [header + ",user-item_affinity_0", *(row + ",0.0" for row in [*rows, rows[0].replace(",0,", ",2,")])]
    )
    files = {"men__csv": log, "item_context__csv": ",item_id,item_feature_0\n0,14,-0.6\n"}
    data = Dataset.load(folder(tmp_path, **files))
    assert data.interactions.drop("timestamp").rows() == [
        ("aaaaaaaa-b-c-d", "14", None, "skip", 3.0, 0.25),
        ("aaaaaaaa-b-c-d", "3", None, "click", 1.0, 0.5),
    ]
    assert data.users.height == 1
    assert data.users["user_feature_0"][0] == "aaaaaaaaa"
    assert data.items.columns == ["item_id", "title", "text", "category", "item_feature_0"]
    assert [reject.reason for reject in data.rejects.rows] == ["click '2' is neither 0 nor 1"]


def test_kuairand_csv(tmp_path: Path) -> None:
    header = "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view"
    log = [header + ",play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"]
    for line in (
        "1,10,20220408,1100,1649386800000,1,0,0,0,0,0,1,30000,20000",  # watched one and a half times
        "1,11,20220408,1100,1649386801000,0,1,0,0,0,0,0,0,20000",  # liked, and neither clicked nor played
        "1,12,20220408,1100,1649386802000,0,0,0,0,0,0,0,1500,0",  # of a length that is not known
        "1,13,20220408,1100,1649386803000,1,1,0,0,0,1,1,5000,",  # hated and liked
        "1,14,20220408,1100,1649386804000,1,0,0,0,0,0,0,-7,20000",
        "1,15,20220408,1100,1649386805000,2,0,0,0,0,0,0,7,20000",
        "1,16,20220408,1100,1649386806000,1,0,0,0,0,0,0,soon,20000",
        "1,17,20220408,1100,1649386807000,1,0,1,1,1,0,0,7000,14000",
    ):
        log.append(line + ",0,0,0,0,1")
    videos = [
        "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,tag",
        '10,7,NORMAL,2022-04-01,Web,0.0,20000.0,"39,3"',
        "12,7,NORMAL,2022-04-01,Web,0.0,,",
    ]
    files = {
        "log_standard_4_08_to_4_21_pure__csv": "\n".join(log),
        "log_standard_4_22_to_5_08_pure__csv": "\n".join([log[0], "2,10,20220422,0,1650600000000,1" + ",0" * 13]),
        "log_random_4_22_to_5_08_pure__csv": log[0],
        "video_features_basic_pure__csv": "\n".join(videos),
        "user_features_pure__csv": "user_id,user_active_degree,onehot_feat0\n1,full_active,5\n",
    }
    data = Dataset.load(folder(tmp_path, **files))
    assert data.interactions.select("item_id", "event", "timestamp", "seconds", "share").rows() == [
        ("10", "play", 1_649_386_800.0, 30.0, 1.5),
        ("11", "like", 1_649_386_801.0, 0.0, 0.0),
        ("12", "skip", 1_649_386_802.0, 1.5, None),
        ("13", "dislike", 1_649_386_803.0, 5.0, None),
        ("17", "share", 1_649_386_807.0, 7.0, 0.5),
        ("10", "click", 1_650_600_000.0, 0.0, None),
    ]
    assert sorted((reject.line, reject.reason) for reject in data.rejects.rows) == [
        (6, "play_time_ms '-7' is no time from 0 on"),
        (7, "is_click '2' is neither 0 nor 1"),
        (8, "play_time_ms 'soon' is no time from 0 on"),
    ]
    assert data.items.select("item_id", "title", "category", "duration").rows() == [
        ("10", "", "tag 39|tag 3", 20.0),
        ("12", "", "", None),
    ]
    assert data.users.columns == ["user_id", "user_active_degree"]


def test_kuairand_parquet(tmp_path: Path) -> None:
    rows = {"user_id": [1, 1], "item_id": [2, 3], "timestamp": [1650839916, 1650839917], "is_click": [True, False]}
    pl.DataFrame(rows).write_parquet(tmp_path / "impressions.parquet")
    pl.DataFrame({"item_id": [2], "tag": ["5"]}).write_parquet(tmp_path / "items.parquet")
    data = Dataset.load(tmp_path)
    assert data.interactions.rows() == [
        ("1", "2", None, "click", 1_650_839_916.0),
        ("1", "3", None, "skip", 1_650_839_917.0),
    ]
    assert data.items["category"].to_list() == ["tag 5"]
    pl.DataFrame(rows).drop("is_click").write_parquet(tmp_path / "impressions.parquet")
    with pytest.raises(DataError, match=r"impressions.parquet has no column 'is_click', which a log of KuaiRand has"):
        Dataset.load(tmp_path)


def test_votes_and_other_names_for_our_columns(tmp_path: Path) -> None:
    data = Dataset.load(folder(tmp_path, votes__csv="user_id,item_id,vote,timestamp_ms\n1,2,-1,1483228800000\n"))
    assert data.interactions.rows() == [("1", "2", -1.0, None, 1_483_228_800.0)]


def test_a_folder_called_original_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "original").mkdir()
    folder(tmp_path / "original", u__data="7\t1\t3\t881250949\n")
    assert Dataset.load(tmp_path).name == tmp_path.name
    monkeypatch.chdir(tmp_path / "original")
    assert Dataset.load(".").name == tmp_path.name


# Real files: the counts are those of their READMEs.


@pytest.mark.parametrize(
    ("name", "ratings", "users", "items"),
    [
        ("movielens-100k", 100_000, 943, 1_682),
        ("movielens-latest-small", 100_836, 610, 9_742),
        ("jester", 291_699, 4_014, 100),
        ("movietweetings", 100_000, 16_554, 10_506),
        ("movietweetings/original", 100_000, 16_554, 10_506),
        ("goodbooks", 227_181, 2_033, 10_000),
        ("young-people-survey", 63_340, 1_010, 63),
        ("coat", 11_600 - 366, 290, 300),
        ("amazon-gift-cards", 2_972 - 7, 458, 1_547),
    ],
)
def test_real_ratings(shared_data: SharedData, name: str, ratings: int, users: int, items: int) -> None:
    data = Dataset.load(shared_data(name), strict=True)
    coded = data.coded()
    assert (len(coded.values), len(coded.user_ids), len(coded.item_ids)) == (ratings, users, items)
    assert data.items.height == items


def test_real_movielens_100k_alone(shared_data: SharedData) -> None:
    whole, alone = (Dataset.load(shared_data("movielens-100k") / part) for part in ("", "original/u.data"))
    assert alone.interactions.equals(whole.interactions)
    assert whole.items.filter(pl.col("item_id") == "1")["category"].item() == "Animation|Children's|Comedy"
    assert whole.users.height == 943


INVOICES = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,"HOLDER, \xa320",6,12/1/2010 8:26,2.55,17850.0,United Kingdom
536365,22423,CAKESTAND,1,12/1/2010 8:26,12.75,17850,United Kingdom
C536379,85123A,HOLDER,-2,12/1/2010 9:41,2.65,17850,United Kingdom
C536380,22423,CAKESTAND,-1,12/1/2010 9:42,12.75,17850,United Kingdom
536370,POST,POSTAGE,3,12/1/2010 8:45,18,12583,France
536371,22728,CLOCK,24,12/1/10 8:45,0,12583,France
536414,22139,,56,12/1/2010 11:52,0.1,,United Kingdom
536415,22139,,many,12/1/2010 11:52,0.1,12583,France
536416,22139,,1,soon,0.1,12583,France
536417,22728,,0,12/1/2010 11:52,0.1,12583,France
"""


def test_online_retail_of_uci(tmp_path: Path) -> None:
    """Returns have the share of what was bought; what is no sale of a product to somebody is a reject."""
    path = tmp_path / "Online Retail.csv"
    path.write_bytes(INVOICES.encode("latin-1"))
    for data in (Dataset.load(tmp_path), Dataset.load(path)):
        rows = data.interactions.select("user_id", "item_id", "event", "weight", "quantity", "price", "basket_id")
        assert rows.rows() == [
            ("17850", "85123A", "purchase", 1.0, 6.0, 2.55, "536365"),
            ("17850", "22423", "purchase", 1.0, 1.0, 12.75, "536365"),
            ("17850", "85123A", "return", pytest.approx(1 / 3), -2.0, 2.65, "C536379"),
            ("17850", "22423", "return", 1.0, -1.0, 12.75, "C536380"),
        ]
        assert data.interactions["timestamp"].to_list()[0] == 1_291_191_960.0
        assert data.items.select("item_id", "title", "price").rows() == [
            ("85123A", "HOLDER, £20", pytest.approx(2.6)),
            ("22423", "CAKESTAND", 12.75),
        ]
        assert data.users.rows() == [("17850", "United Kingdom")]
        assert [(reject.line, reject.column) for reject in sorted(data.rejects.rows, key=lambda one: one.line)] == [
            *[(6, "item_id"), (7, "price"), (8, "user_id"), (9, "quantity"), (10, "timestamp"), (11, "quantity")]
        ]
    coded = data.coded("event")
    values = {coded.item_ids[item]: value for item, value in zip(coded.items, coded.values, strict=True)}
    assert values["85123A"] == 1.0, "a return of a part leaves the purchase"
    assert values["22423"] == -1.0, "a return of all takes it back"


def test_online_retail_counts_what_was_bought_over_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weight of a return goes by all that was bought before, in earlier pieces of the file too."""
    header, first = INVOICES.splitlines()[0], "1,10002,A,3,2010-12-01 08:26:00,1,7,UK"
    back = ["2,10002,A,3,2010-12-02 08:26:00,1,7,UK", "C3,10002,A,-2,2010-12-03 08:26:00,1,7,UK"]
    path = tmp_path / "online_retail_II.csv"
    path.write_text("\n".join([header, first, *back]))
    whole = Dataset.load(path).interactions
    monkeypatch.setattr(delimited, "ROWS_A_PIECE", 1)
    path.write_text("\n".join([header, first, '"2",10002,A,3,2010-12-02 08:26:00,1,7,UK', back[1]]))  # row by row
    pieces = Dataset.load(path).interactions
    assert whole["weight"].to_list() == pieces["weight"].to_list() == [1.0, 1.0, pytest.approx(2 / 6)]


def test_online_retail_of_another_header_says_what_is_lacking(tmp_path: Path) -> None:
    path = tmp_path / "OnlineRetail.csv"
    path.write_text("InvoiceNo,StockCode,Quantity\n1,10002,1\n")
    with pytest.raises(
        DataError, match=r"^OnlineRetail.csv has no column for title \(its columns: InvoiceNo, StockCode"
    ):
        Dataset.load(path)


def test_real_online_retail(shared_data: SharedData) -> None:
    data = Dataset.load(shared_data("online-retail"), strict=True)
    assert events(data) == {"purchase": 386_326} and data.items.height == 3_659 and data.users.height == 4_334
    assert data.items["title"][0] == "INFLATABLE POLITICAL GLOBE" and data.items["price"].min() > 0


def test_real_mind(shared_data: SharedData) -> None:
    data = Dataset.load(shared_data("mind-cut"), strict=True)
    shown = data.interactions.filter(pl.col("timestamp").is_not_null())
    assert shown.height == 189_359
    assert (shown["event"] == "click").sum() == 7_542
    assert data.interactions["user_id"].n_unique() == 4_637
    assert data.items.height == 2_000


def test_real_open_bandit(shared_data: SharedData) -> None:
    data = Dataset.load(shared_data("open-bandit"), strict=True)
    assert events(data) == {"skip": 1_192, "click": 7}
    assert data.items.height == 34


def test_real_kuairand(shared_data: SharedData) -> None:
    data = Dataset.load(shared_data("kuairand-pure-cut"), strict=True)
    assert events(data) == {
        "skip": 97_961,
        "play": 54_910,
        "click": 23_348,
        "like": 3_149,
        "share": 155,
        "dislike": 149,
    }
    assert data.interactions["share"].null_count() == 2_871  # of no length
    assert (data.interactions["user_id"].n_unique(), data.items.height) == (20_207, 7_583)


def test_real_amazon_text(shared_data: SharedData) -> None:
    items = Dataset.load(shared_data("amazon-gift-cards"), strict=True).items
    assert (items["title"] != "").all()
    assert items["category"].str.starts_with("Gift Cards").sum() == 1_542
    assert "image" not in items.columns


# Files that are nearly of a format: read, or one line that says what is wrong.


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {
                "a__inter": "user_id:token\titem_id:token\n1\t2\n",
                "a__item": "item_id:token\titem_id:float\n2\t2\n",
            },
            "a.item has the column item_id twice, as 'item_id:token' and 'item_id:float'. Rename one of them.",
        ),
        (
            {"jester-1__csv": "2\n"},
            "jester-1.csv:1: 0 commas. A row of Jester is a count and ratings, with a comma before",
        ),
        ({"ratings__dat": "1::2::3::4\n", "users__dat": b"\x001::F::1::1::1\n"}, ""),
        ({"jester-1__csv": "1,5\n", "init1__html": b"a\x00b"}, ""),
        ({"ratings__csv": "userId,movieId,rating\n1,2,3\n", "movies__csv": "movieId,title\n2,Alien\n"}, ""),
        ({"ratings__jsonl": '{"user_id": "a", "item_id": "b"}\n{"user_id": "a", "item_id": "b", "\\ud800": 1}\n'}, ""),
        (
            {"ratings__jsonl": '{"user_id": "a", "item_id": "b", "x\\u0000": 1}\n'},
            "has the column 'x\\x00', which holds NUL",
        ),
    ],
)
def test_IN_04_what_is_nearly_of_a_format(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    folder(tmp_path, **files)
    if not message:
        assert Dataset.load(tmp_path).interactions.height == 1
        return
    with pytest.raises(DataError) as error:
        Dataset.load(tmp_path)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            KeyError("x\n\x1by"),
            r"^rows cannot be read \(KeyError: .*\)\. Write it again as CSV in UTF-8, and read that\.$",
        ),
        (RecursionError("deep"), r"RecursionError: deep"),
        (OverflowError("y" * 10_000), r"^.{0,400}$"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), "UnicodeEncodeError"),
        (PanicException("called unwrap on None"), "PanicException: called unwrap on None"),
        (MemoryError(), r"^rows needs more memory than there is\. Split it, or use a machine with more\.$"),
    ],
)
def test_whatever_a_reader_raises_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, message: str
) -> None:
    def stumble(*_: object) -> None:
        raise error

    monkeypatch.setattr(jester, "read", stumble)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "jester-1.csv").write_text("1,5\n")
    with pytest.raises(DataError, match=message) as raised:
        Dataset.load(tmp_path / "rows")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_in_a_reader_is_no_error_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def interrupted(*_: object) -> None:
        raise stop

    monkeypatch.setattr(jester, "read", interrupted)
    (tmp_path / "jester-1.csv").write_text("1,5\n")
    with pytest.raises(stop):
        Dataset.load(tmp_path)

"""Reasons in Chinese."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from palate.loop.reasons.phrases import ONE_OF, Deed, Facts, fraction

_DID = {
    "like": "喜欢",
    "choose": "选过",
    "rate": "评过",
    "purchase": "买过",
    "play": "播放过",
    "read": "读过",
    "save": "收藏过",
    "share": "分享过",
    "view": "浏览过",
    "click": "点过",
    "add-to-cart": "加购过",
}
_YOU = {
    "dislike": "你不喜欢{both}",
    "turn-down": "你没有选{both}",
    "score": "你给{both}打了 {value:g} 分",
    "prefer": "比起{second}，你更喜欢{first}",
    "tap": "你选中了{both}",
    "tap-none": "{both}你都没有选",
    "yes": "你说过喜欢{plain}",
    "no": "你说过不喜欢{plain}",
    "promising": "你觉得{both}不错",
    "unpromising": "你觉得{both}不怎么样",
    "best": "在看到的几个里你最喜欢{both}",
    "name": "你提到过{both}",
    "open": "你在列表里点开了{both}",
    "open-none": "列表里你一个也没有点开",
}
_SHARES = {
    "all": "全都",
    "nearly all": "几乎都",
    "9/10": "九成",
    "4/5": "八成",
    "3/4": "四分之三",
    "2/3": "三分之二",
    "3/5": "六成",
    "1/2": "一半",
    "2/5": "四成",
    "1/3": "三分之一",
    "1/4": "四分之一",
    "1/5": "两成",
    "1/10": "一成",
    "few": "少数",
}
_MANY = (
    (2_000_000, "几百万"),
    (1_000_001, "一百多万"),
    (200_000, "几十万"),
    (100_000, "十几万"),
    (20_000, "几万"),
    (10_001, "一万多"),
    (2_000, "几千"),
    (1_001, "一千多"),
    (200, "几百"),
    (101, "一百多"),
    (21, "几十"),
)


def say(kind: str, facts: Facts) -> str:
    """The reason of this kind."""
    return _KINDS[kind](facts)


def people(n: int, unit: str = "人") -> str:
    """So many, as a person would say it.

    >>> people(8), people(38), people(160), people(4321)
    ('8 人', '几十人', '一百多人', '几千人')
    """
    return next((f"{words}{unit}" for least, words in _MANY if n >= least), f"{n} {unit}")


def _together(facts: Facts) -> str:
    did = _DID[facts.act]
    return f"{people(facts.people, '个')}{did}{_titles(facts, '或')}的人也{did}它"


def _words(facts: Facts) -> str:
    words = "、".join(_quoted(word) for word in facts.words)
    return f"和{_titles(facts)}一样提到{words}" if words else f"内容和{_titles(facts)}相似"


def _maker(facts: Facts) -> str:
    did = _DID[facts.act]
    if facts.own > 1:
        return f"出自 {facts.name}，你{did}其中 {facts.own} 个"
    return f"和你{did}的{_titles(facts)}一样出自 {facts.name}"


def _category(facts: Facts) -> str:
    return f"和你{_DID[facts.act]}的 {facts.own} 个一样属于 {facts.name}"


def _again(facts: Facts) -> str:
    return f"你{_DID[facts.act]}它" + ("" if facts.own < 2 else f"，共 {facts.own} 天")


def _known(facts: Facts) -> str:
    return f"知道{_titles(facts)}的人也知道它"


def _answers(facts: Facts) -> str:
    return "，".join(_merged(facts.deeds))


def _about_you(facts: Facts) -> str:
    return "符合对你的了解"


def _friends(facts: Facts) -> str:
    return f"你的 {facts.people} 位好友{_DID[facts.act]}它"


def _well_liked(facts: Facts) -> str:
    return f"{people(facts.people)}评过，{_SHARES[fraction(facts.share)]}喜欢"


def _popular(facts: Facts, lately: str = "") -> str:
    did = _DID[facts.act]
    place = f" {facts.name} 里" if facts.name else ""
    if facts.rank == ONE_OF:
        return f"{lately}{place}{did}的人数排在前 {ONE_OF}".strip()
    if facts.rank:
        return f"{lately}{place}{did}的人{'最多' if facts.rank == 1 else f'数第 {facts.rank}'}".strip()
    return f"最近{did}的人多" if lately else f"{people(facts.people)}{did}"


def _lately(facts: Facts) -> str:
    return _popular(facts, "最近")


def _new(facts: Facts) -> str:
    if facts.words or facts.deeds:
        return f"新的：{_words(facts)}"
    if facts.share:
        return "新的：内容看起来不错"
    return "新的：评过的人还很少" if facts.people else "新的：还没有人评过"


_KINDS: dict[str, Callable[[Facts], str]] = {
    "together": _together,
    "same-words": _words,
    "same-maker": _maker,
    "same-category": _category,
    "again": _again,
    "known": _known,
    "answers": _answers,
    "about-you": _about_you,
    "friends": _friends,
    "well-liked": _well_liked,
    "popular": _popular,
    "lately": _lately,
    "new": _new,
}


def _merged(deeds: Sequence[Deed]) -> list[str]:
    """What the user did, the same deeds in one."""
    titles: dict[tuple[str, float], tuple[str, ...]] = {}
    for deed in deeds:
        of = (deed.what, deed.value)
        titles[of] = titles.get(of, ()) + deed.titles
    said = [_you(Deed(what, named, value)) for (what, value), named in titles.items()]
    return [said[0], *(one.removeprefix("你") for one in said[1:])]


def _you(deed: Deed) -> str:
    quoted = [_quoted(title) for title in deed.titles]
    if deed.what in _DID:
        return f"你{_DID[deed.what]}{_list(quoted)}"
    first, second = (*quoted, "", "")[:2]
    plain = "、".join(deed.titles)
    return _YOU[deed.what].format(both=_list(quoted), first=first, second=second, plain=plain, value=deed.value)


def _titles(facts: Facts, last: str = "和") -> str:
    return _list([_quoted(title) for deed in facts.deeds for title in deed.titles], last)


def _quoted(title: str) -> str:
    return f"“{title}”"


def _list(parts: Sequence[str], last: str = "和") -> str:
    return "、".join(parts[:-1]) + last + parts[-1] if len(parts) > 1 else "".join(parts)

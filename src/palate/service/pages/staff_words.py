"""What the pages of those who hold a key say: an annotator's and an operator's, in each language."""

from __future__ import annotations

from collections.abc import Mapping

from palate.service.pages import operate_words
from palate.service.pages.words import WORDS

_SHARED = (  # with the pages of a user
    *("skip_to_content", "needs_script", "other_language", "main_navigation", "loading", "close", "sign_out"),
    *("unknown", "skip", "undo", "undone", "why", "waiting", "saving", "unsent", "unsent_offline", "offline"),
    *("session_ended", "other_person", "other_tab", "not_kept", "sign_out_unsent"),
    *("keys_open", "keys_leave", "keys_help", "keys_on", "like", "dislike"),
)
_ENGLISH = {
    # the way in
    "title_annotate": "Your questions",
    "title_operate": "Palate at work",
    "text_annotate": "Sign in with the key that you were given. It is asked for once.",
    "text_operate": "Sign in with an admin key, or with that of an application. It is asked for once.",
    "key_label": "Key",
    "key_hint": "It goes to this server alone. The browser keeps a session of twelve hours, which no script can read.",
    "sign_in": "Sign in",
    "key_wrong": "This key opens nothing here. Check it, or ask for a new one.",
    "key_other": "This key is good, and not for this page.",
    "key_often": "Too many wrong keys from here. Try again in a minute.",
    "unreachable": "The server does not answer. Try again in a moment.",
    "elsewhere": "This page was opened under an address that the server does not know as its own.",
    # the annotator's page
    "campaign": "Campaign",
    "no_campaign": "There is nothing to answer now. This page looks again by itself.",
    "done_asked": "There is nothing left to ask you here. Thank you.",
    "done_budget": "All that was wanted is answered. Thank you.",
    "done_gain": "A further answer would tell hardly anything. Thank you.",
    "done_paused": "This campaign is paused. The page goes on by itself.",
    "done_closed": "This campaign is closed. Thank you.",
    "progress": "How much of it is answered",
    "mine": "You",
    "team": "All together",
    "left": "Left of the budget",
    "gain_left": "Still to be gained",
    "seconds_each": "Seconds an answer",
    "about_user": "For {user}",
    "show_more": "Show more",
    "find": "Find an answer",
    "found": "{n} of {of}; Enter takes the first.",
    "flag": "Flag",
    "comment": "Comment",
    "comment_title": "What should we know of this one?",
    "comment_hint": "At most 1,000 characters. Ctrl+Enter keeps it.",
    "comment_keep": "Keep",
    "skip_title": "Why skip it?",
    "skip_unclear": "The question is unclear",
    "skip_broken": "It cannot be read, seen or heard",
    "skip_unsure": "I cannot decide",
    "skip_offensive": "It is offensive",
    "skip_plain": "Just skip it",
    "skip_back": "Back",
    "keys_digits": "Answer",
    "keys_play": "Play or pause the sound",
    "all_saved": "All is saved.",
    "not_taken": "An answer was not taken: {why}",
    "sign_in_again": "Sign in again",
}

_CHINESE = {
    "title_annotate": "你的问题",
    "title_operate": "Palate 运行情况",
    "text_annotate": "用发给你的密钥登录，只需输入一次。",
    "text_operate": "用管理员或应用的密钥登录，只需输入一次。",
    "key_label": "密钥",
    "key_hint": "它只会发给本服务器。浏览器保留十二小时的会话，脚本无法读取。",
    "sign_in": "登录",
    "key_wrong": "这个密钥在这里无效。请检查，或重新索取。",
    "key_other": "这个密钥有效，但不能打开本页。",
    "key_often": "错误的密钥太多了，请一分钟后再试。",
    "unreachable": "服务器没有回应，请稍后再试。",
    "elsewhere": "打开本页所用的地址，服务器不认作自己的。",
    "campaign": "任务",
    "no_campaign": "现在没有要回答的。本页会自动再看。",
    "done_asked": "这里没有可问你的了，谢谢。",
    "done_budget": "需要的都已回答，谢谢。",
    "done_gain": "再多的回答也说明不了什么了，谢谢。",
    "done_paused": "这个任务已暂停，恢复后本页会自动继续。",
    "done_closed": "这个任务已结束，谢谢。",
    "progress": "已回答的比例",
    "mine": "你",
    "team": "全体",
    "left": "预算剩余",
    "gain_left": "还可获得的收益",
    "seconds_each": "每题秒数",
    "about_user": "关于 {user}",
    "show_more": "显示更多",
    "find": "查找答案",
    "found": "共 {of} 个，显示 {n} 个；按 Enter 选第一个。",
    "flag": "标记",
    "comment": "备注",
    "comment_title": "关于这一题有什么要说的？",
    "comment_hint": "最多 1,000 字。按 Ctrl+Enter 保存。",
    "comment_keep": "保存",
    "skip_title": "为什么跳过？",
    "skip_unclear": "问题不清楚",
    "skip_broken": "看不到、读不了或听不到",
    "skip_unsure": "我无法决定",
    "skip_offensive": "内容令人反感",
    "skip_plain": "直接跳过",
    "skip_back": "返回",
    "keys_digits": "回答",
    "keys_play": "播放或暂停声音",
    "all_saved": "全部已保存。",
    "not_taken": "有一个回答没有被接受：{why}",
    "sign_in_again": "重新登录",
}

STAFF_WORDS: Mapping[str, Mapping[str, str]] = {
    language: {name: WORDS[language][name] for name in _SHARED} | own
    for language, own in (("en", _ENGLISH | operate_words.ENGLISH), ("zh", _CHINESE | operate_words.CHINESE))
}

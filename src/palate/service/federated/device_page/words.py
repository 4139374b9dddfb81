"""What the device's page says beside what all pages say, in each language."""

from __future__ import annotations

from collections.abc import Mapping

_ENGLISH = {
    "device_title": "What leaves this device",
    "device_stays": "Nothing that you say. The page loads one file, the same for everybody, and keeps your answers in "
    "this browser. What to ask next and what your list shows is worked out here; it goes on without a network.",
    "device_contribute": "Contributing is off. This page has no way to send an answer, so nothing here improves the "
    "model for others.",
    "device_model": "Model {line}, round {round}: {n} items, digest {digest}.",
    "device_data": "Your answers and what is worked out from them lie in this browser alone. Clearing the browser's "
    "data deletes them too.",
    "device_delete": "All your answers are taken out of this browser, and what they taught. This cannot be undone.",
    "device_kept": "Kept in this browser: {n} answers.",
    "device_kept_one": "Kept in this browser: your first answer.",
    "device_not_kept": "This browser keeps nothing: your answers are gone when you leave the page.",
    "device_unreachable": "The model could not be loaded. Open the page again in a moment.",
    "device_expected": "Expected of you: {value} ± {error}",
    "device_chance": "You should like it with a chance of {value} %",
    "device_why": "Of all items, its answer should say most about what you may be shown, weighed by how likely you "
    "know it. That was worked out here: nobody else knows that you were asked.",
}

_CHINESE = {
    "device_title": "哪些内容会离开这台设备",
    "device_stays": "你说的任何内容都不会。本页只载入一个文件，人人相同；你的回答保存在本浏览器里。"
    "下一个问题和你的清单都在这里计算，断网也能继续。",
    "device_contribute": "贡献功能处于关闭状态。本页没有任何途径发送回答，因此这里的回答不会改进给别人用的模型。",
    "device_model": "模型 {line}，第 {round} 轮：{n} 个物品，摘要 {digest}。",
    "device_data": "你的回答以及由此得出的结果只保存在本浏览器里。清除浏览器数据也会删除它们。",
    "device_delete": "你的所有回答以及由它们学到的，都会从本浏览器中去掉。此操作无法撤销。",
    "device_kept": "已保存在本浏览器里：{n} 个回答。",
    "device_kept_one": "已保存在本浏览器里：你的第一个回答。",
    "device_not_kept": "本浏览器不保存任何内容：离开本页后你的回答就没有了。",
    "device_unreachable": "模型载入失败，请稍后再打开本页。",
    "device_expected": "预计你会给 {value} ± {error} 分",
    "device_chance": "你喜欢它的可能性为 {value} %",
    "device_why": "在所有物品里，按你了解它的可能性算，它的答案最能说明该给你看什么。"
    "这是在本机上算出来的：没有别人知道问过你。",
}

DEVICE_WORDS: Mapping[str, Mapping[str, str]] = {"en": _ENGLISH, "zh": _CHINESE}

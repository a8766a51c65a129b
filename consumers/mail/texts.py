"""What reporters are written: no name, no case number, nothing about faces, since others may read over a shoulder."""

from collections.abc import Mapping

from records.reports.notices import NoticeKind

Text = tuple[str, str]
"""Subject and body; %(page)s is where the status page is."""

ENGLISH: Mapping[NoticeKind, Text] = {
    "news": (
        "There is news for you",
        "Hello,\n\n"
        "there is news about what you sent us. To read it, open this page with your case number and PIN:\n\n"
        "%(page)s\n\n"
        "For your safety this message says no more. Please do not answer it; write to us on that page.\n",
    ),
    "reminder": (
        "What you agreed to ends soon",
        "Hello,\n\n"
        "what you agreed to ends soon. If you do nothing, we stop on that day and erase all that we hold about you.\n"
        "To see the day, or to go on, open this page with your case number and PIN:\n\n"
        "%(page)s\n\n"
        "For your safety this message says no more. Please do not answer it; write to us on that page.\n",
    ),
    "erased": (
        "It is erased",
        "Hello,\n\n"
        "as you asked, we have erased what we held about you, this address included. Your receipt is here; open it\n"
        "with your case number and PIN:\n\n"
        "%(page)s\n\n"
        "This is our last message to you.\n",
    ),
}
CHINESE: Mapping[NoticeKind, Text] = {
    "news": (
        "您有新的进展",
        "您好：\n\n"
        "您提交的内容有了新进展。请打开以下页面，输入案件编号和 PIN 码查看：\n\n"
        "%(page)s\n\n"
        "为了您的安全，邮件中不写更多内容。请勿回复本邮件，如需联系请在该页面留言。\n",
    ),
    "reminder": (
        "您的同意即将到期",
        "您好：\n\n"
        "您的同意即将到期。如果您不做任何操作，到期当天我们会停止处理，并删除我们保存的有关您的全部内容。\n"
        "如需查看到期日或继续，请打开以下页面，输入案件编号和 PIN 码：\n\n"
        "%(page)s\n\n"
        "为了您的安全，邮件中不写更多内容。请勿回复本邮件，如需联系请在该页面留言。\n",
    ),
    "erased": (
        "已全部删除",
        "您好：\n\n"
        "我们已按您的要求删除所保存的有关您的内容，包括这个邮箱地址。请打开以下页面，输入案件编号和 PIN 码，\n"
        "即可查看回执：\n\n"
        "%(page)s\n\n"
        "这是我们发给您的最后一封邮件。\n",
    ),
}
LANGUAGES: Mapping[str, tuple[str, Mapping[NoticeKind, Text]]] = {
    "en": ("en", ENGLISH),
    "zh_Hans": ("zh-Hans", CHINESE),
}
"""By our code: the tag of Content-Language, and the texts."""


def mail_text(kind: NoticeKind, language: str, page: str) -> tuple[str, str, str]:
    """Subject, body and language tag; in English where we do not speak the language."""
    tag, texts = LANGUAGES.get(language, LANGUAGES["en"])
    subject, body = texts[kind]
    return subject, body % {"page": page}, tag

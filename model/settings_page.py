"""The page of all settings, made of their table: `python -m model.settings_page > docs/all-settings.md`."""

from __future__ import annotations

from model.setting_kinds import Choice, File, Kind, Names, Rate, RefreshPairs, SchemaPairs, Whole
from model.settings_table import TABLE, Setting

HEAD = """\
# All settings

Made of the same table that checks them, like `.env.example`. What needs more words: [settings.md](settings.md).
"""


def page() -> str:
    """The page's text."""
    lines = HEAD.splitlines()
    for group in TABLE:
        lines += ["", f"## {group.title}", "", "| setting | may be | default | meaning |", "|---|---|---|---|"]
        for part in group.parts:
            for setting in part:
                words = setting.words.replace("|", "\\|").replace("\n", " ")
                lines.append(f"| `{setting.name}` | {_range(setting.kind)} | {_default(setting)} | {words} |")
    return "\n".join(lines) + "\n"


def _range(kind: Kind) -> str:
    match kind:
        case Whole():
            return f"{kind.low:,} to {kind.high:,}"
        case Choice():
            return ", ".join(f"`{word}`" for word in kind.known)
        case Names():
            return "names, with commas between them"
        case File():
            return "a path"
        case SchemaPairs():
            return "pairs of schemas, like `dbo:shop`"
        case RefreshPairs():
            return "tables and ways, like `Sales.*:swap`"
        case Rate():
            return "like `50000rows` or `20MB`"
    return "text"


def _default(setting: Setting) -> str:
    """As it would be written into `.env`; in words where it depends on the machine."""
    if setting.default:
        return setting.default
    match setting.kind:
        case Whole(default):
            return f"`{default}`"
        case Choice(known):
            return f"`{known[0]}`"
        case Names(names) if names:
            return f"`{','.join(names)}`"
    text = getattr(setting.kind, "default", "")
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    print(page(), end="")

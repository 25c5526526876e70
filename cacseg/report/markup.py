"""HTML that cannot be injected into: text is escaped unless it is markup already."""

from html import escape


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | None) -> Markup:
    """Make an element; children that are not ``Markup`` are escaped, attributes always.

    A trailing underscore in an attribute's name is dropped and others become hyphens (``class_``, ``aria_label``).

    Examples
    --------
    >>> tag("td", "<b>", class_="x")
    '<td class="x">&lt;b&gt;</td>'
    """
    inside = join(*children)
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{inside}</{name}>")


def join(*children: str | None) -> Markup:
    """Put pieces one after the other, escaping what is not markup."""
    return Markup("".join(one if isinstance(one, Markup) else escape(one) for one in children if one is not None))


def void(name: str, /, **attributes: str | None) -> Markup:
    """Make an element without content, like ``img``."""
    return Markup(str(tag(name, **attributes)).removesuffix(f"</{name}>"))

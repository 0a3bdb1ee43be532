"""What the site does differently from the files: links to files outside of `docs/` become their text."""
import re

LINK = re.compile(r"\[([^\]\[]*)\]\((\.\./[^)\s]*)\)")


def on_page_markdown(markdown, page, **_):
    depth = page.file.src_uri.count("/")

    def plain(link):
        ups = len(re.match(r"(?:\.\./)*", link[2])[0]) // 3
        return link[1] if ups > depth else link[0]

    return LINK.sub(plain, markdown)

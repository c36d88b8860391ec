"""An HTML page as tests look at it: its elements, and the text in them."""

from html.parser import HTMLParser
from typing import NamedTuple

WITHOUT_END = {"meta", "img", "input", "br", "link"}


class Element(NamedTuple):
    """An element, with the text in it and in those inside."""

    tag: str
    attributes: dict
    texts: list

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


class Page(HTMLParser):
    """Reads a page; `elements` are in the order of their opening."""

    def __init__(self, content):
        super().__init__(convert_charrefs=True)
        self.elements, self._open = [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in WITHOUT_END:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(Element(tag, dict(attrs), []))

    def handle_endtag(self, tag):
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data):
        for element in self._open:
            element.texts.append(data)

    def all(self, *tags):
        return [element for element in self.elements if element.tag in tags]

    def rows(self, caption):
        """The texts of the cells of each row of the table with a caption."""
        return [[cell.text for cell in row] for row in self.cells(caption)]

    def values(self, caption):
        """By the text of its first cell and of the heading: what a table's cells are sorted by."""
        (heading, *rows) = self.cells(caption)
        names = [cell.text for cell in heading]
        return {
            row[0].text: {
                name: cell.attributes.get("data-v", cell.text)
                for name, cell in zip(names, row, strict=True)
            }
            for row in rows
        }

    def cells(self, caption):
        """The cells of each row of the table with a caption."""
        place = self.elements.index(next(e for e in self.all("caption") if e.text == caption))
        rows = []
        for element in self.elements[place + 1 :]:
            if element.tag == "table":
                break
            if element.tag == "tr":
                rows.append([])
            elif element.tag in ("th", "td"):
                rows[-1].append(element)
        return rows

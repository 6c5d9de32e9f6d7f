"""Write and read the JSON text that the store keeps of documents and lists."""

import orjson


def dump_sorted_json(document: object) -> str:
    """Return a document as JSON text with sorted keys."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


def parse_stored_document(text: str) -> dict[str, object] | None:
    """Return the document of a stored text, or None if the text holds no JSON object."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def parse_stored_texts(text: str) -> tuple[str, ...] | None:
    """Return the texts of a stored list, or None if it holds anything else."""
    try:
        texts = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return tuple(texts) if isinstance(texts, list) and all(isinstance(each, str) for each in texts) else None

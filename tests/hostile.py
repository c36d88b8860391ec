"""Checkpoints that a stranger might send, and a process that notices what they do."""

import io
import struct
import sys
import zipfile
from pathlib import Path

import torch

from tests.test_misfit import example

# Instructions of the format that torch.save writes, by their names in the pickle documentation.
PROTO, STOP, MARK, TUPLE, TUPLE1, REDUCE = b"\x80\x02", b".", b"(", b"t", b"\x85", b"R"
NEWOBJ, BUILD, EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE = b"\x81", b"b", b"}", b"]", b")"
APPENDS, APPEND, PUT0, GET0 = b"e", b"a", b"q\x00", b"h\x00"
OUTSIDE = "/tmp/hostile"  # noqa: S108, what no file may make


def text(word):
    """The instruction for a string."""
    word = word.encode()
    return b"X" + struct.pack("<I", len(word)) + word


def name(module, attribute):
    """The instruction that asks for module.attribute."""
    return f"c{module}\n{attribute}\n".encode()


def call(module, attribute, *arguments):
    """The instructions that call module.attribute(*arguments), each already instructions."""
    return name(module, attribute) + MARK + b"".join(arguments) + TUPLE + REDUCE


def archive(instructions, compression=zipfile.ZIP_STORED, more=(), root="archive"):
    """A file like a checkpoint, with these instructions."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr(f"{root}/data.pkl", PROTO + instructions + STOP)
        file.writestr(f"{root}/byteorder", "little")
        for entry, content in more:
            file.writestr(entry, content)
        file.writestr(f"{root}/version", "3\n")
    return buffer.getvalue()


def tensor(key, numbers, shape, kind="FloatStorage"):
    """The instructions for a tensor in the storage `key`."""

    def whole(number):
        if number < 2**31:
            return b"J" + struct.pack("<i", number)
        return b"\x8a\x08" + struct.pack("<q", number)

    storage = (
        MARK + text("storage") + name("torch", kind) + text(key) + text("cpu") + whole(numbers)
        + TUPLE + b"Q"
    )  # fmt: skip
    sizes = MARK + b"".join(map(whole, shape)) + TUPLE
    strides = MARK + b"".join(whole(0) for _ in shape) + TUPLE
    hooks = name("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE
    return (
        name("torch._utils", "_rebuild_tensor_v2")
        + MARK + storage + whole(0) + sizes + strides + b"\x89" + hooks + TUPLE + REDUCE
    )  # fmt: skip


def saved(**changes):
    """What torch.save writes of a complete checkpoint with changes."""
    buffer = io.BytesIO()
    torch.save({"format": 1, **example(), **changes}, buffer)
    return buffer.getvalue()


def zeros(count):
    return bytes(count)


def lying_size():
    """An archive whose list of entries claims that one is 3 GB."""
    content = bytearray(saved())
    place = content.rindex(b"PK\x01\x02")
    content[place + 20 : place + 28] = struct.pack("<II", 3 * 2**30, 3 * 2**30)
    return bytes(content)


def twice_the_entry():
    """Two entries of one name: two readers may see two files."""
    buffer = io.BytesIO(saved())
    with zipfile.ZipFile(buffer, "a") as file:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file.writestr("archive/data.pkl", PROTO + call("os", "system", text("true")) + STOP)
    return buffer.getvalue()


def copies(module, attribute, argument, times):
    """Call module.attribute(argument) again and again with one large argument."""
    return (
        argument + PUT0 + EMPTY_LIST + MARK
        + (name(module, attribute) + GET0 + TUPLE1 + REDUCE) * times + APPENDS
    )  # fmt: skip


def many_laughs():
    """A list of lists of lists, each ten times the one before: 10^12 values in 400 bytes."""
    level = text("ha")
    body = level
    for place in range(12):
        body += b"q" + bytes([place]) + EMPTY_LIST + MARK + b"h" + bytes([place]) * 1
        body += (b"h" + bytes([place])) * 9 + APPENDS
    return body


def files():
    """Name -> content of every hostile file."""
    touch = text("touch /tmp/hostile-was-here")
    found = {
        "os.system": archive(call("os", "system", touch)),
        "posix.system": archive(call("posix", "system", touch)),
        "builtins.eval": archive(call("builtins", "eval", text("open('/tmp/hostile', 'w')"))),
        "builtins.exec": archive(call("builtins", "exec", text("import socket"))),
        "builtins.__import__": archive(call("builtins", "__import__", text("antigravity"))),
        "builtins.open": archive(call("builtins", "open", text(OUTSIDE), text("w"))),
        "subprocess.Popen": archive(call("subprocess", "Popen", text("true"))),
        "socket.create_connection": archive(call("socket", "create_connection", text("x"))),
        "getattr": archive(call("builtins", "getattr", name("os", "system"), text("x"))),
        "functools.partial": archive(call("functools", "partial", name("os", "system"), touch)),
        "nested call": archive(
            call("builtins", "map", name("os", "system"), EMPTY_LIST + MARK + touch + APPENDS)
        ),
        "through an import": archive(call("logging", "os.system", touch)),
        "torch's own os": archive(call("torch.serialization", "os", touch)),
        "torch.hub.load": archive(call("torch.hub", "load", text("a/b"), text("c"))),
        "torch.load": archive(call("torch", "load", text("/etc/passwd"))),
        "__setstate__": archive(
            name("torch.nn.parameter", "Parameter") + EMPTY_TUPLE + NEWOBJ + EMPTY_DICT + BUILD
        ),
        "attributes of OrderedDict": archive(
            name("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE + EMPTY_DICT + BUILD
        ),
        "an instance": archive(b"(ios\nsystem\n" + touch + b"u"),
        "a stack global": archive(text("os") + text("system") + b"\x93" + touch + TUPLE1 + REDUCE),
        "an extension": archive(b"\x82\x01"),
        "a legacy pickle": PROTO + call("os", "system", touch) + STOP,
        "a legacy pickle of torch": PROTO + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + PROTO + STOP,
        "a model with code": archive(
            EMPTY_DICT,
            more=[("archive/constants.pkl", PROTO + EMPTY_TUPLE + STOP),
                  ("archive/code/__torch__.py", "import os")],
        ),  # fmt: skip
        "names outside the archive": archive(
            EMPTY_DICT, more=[("../../../tmp/hostile", "x"), (OUTSIDE, "x")]
        ),
        "a deflate bomb": archive(
            tensor("0", 2**26, [2**26]), zipfile.ZIP_DEFLATED, [("archive/data/0", zeros(2**28))]
        ),
        "an lzma bomb": archive(EMPTY_DICT, zipfile.ZIP_LZMA, [("archive/data/0", zeros(2**26))]),
        "a lying size": lying_size(),
        "two entries of one name": twice_the_entry(),
        "a tensor larger than its storage": archive(
            tensor("0", 4, [10**11]), more=[("archive/data/0", zeros(16))]
        ),
        "a huge bytearray": archive(call("builtins", "bytearray", b"\x8a\x05\0\0\0\0\x09")),
        "copies of a large text": archive(
            copies("_codecs", "encode", text("x" * 2**19), 20_000)
        ),
        "copies of a large dict": archive(
            copies("collections", "OrderedDict",
                   EMPTY_LIST + MARK + b"".join(b"J" + struct.pack("<i", n) + b"N\x86"
                                                for n in range(30_000)) + APPENDS, 20_000)
        ),  # fmt: skip
        "a million empty lists": archive(MARK + EMPTY_LIST * 900_000 + TUPLE),
        "a list of lists of lists": archive(many_laughs()),
        "deep nesting": archive(EMPTY_LIST * 200_000 + APPEND * 199_999),
        "a sparse tensor": archive(call("torch._utils", "_rebuild_sparse_tensor", EMPTY_TUPLE)),
        "a hostile type": saved(config={"arch": {"type": "os.system", "args": {}}}),
        "a wide tensor": saved(state_dict={"weight": torch.zeros(1).expand(2**40)}),
    }  # fmt: skip
    return found


WATCHED = ("import", "exec", "compile", "os.", "subprocess.", "socket.", "ctypes.", "shutil.",
           "urllib.", "tempfile.", "pty.", "marshal.", "code.", "webbrowser.")  # fmt: skip


def try_all(folder, report):
    """Load every file of `folder` and write down what each did, one line a file."""
    from utils.checkpoint import load_checkpoint
    from utils.errors import CheckpointError

    good = Path(folder) / "good.pth"
    good.write_bytes(saved())
    load_checkpoint(good)  # so that what torch imports late is imported
    b"name".decode("cp437")  # in which zipfile reads old names
    events, is_watching = [], [False]

    def notice(event, arguments):
        if not is_watching[0]:
            return
        writes = event == "open" and arguments[1] not in ("r", "rb", None)
        if event.startswith(WATCHED) or writes:
            events.append(f"{event} {arguments!r:.80}")

    sys.addaudithook(notice)
    with open(report, "w") as lines:
        for path in sorted(Path(folder).glob("*.pth")):
            events.clear()
            before = _peak_memory(reset=True)
            is_watching[0] = True
            try:
                load_checkpoint(path)
                outcome = "loaded"
            except CheckpointError as error:
                outcome = "refused" if "\n" not in str(error) else "refused in many lines"
            except BaseException as error:
                outcome = f"{type(error).__name__}"
            is_watching[0] = False
            taken = _peak_memory() - before
            lines.write(f"{path.stem}\t{outcome}\t{taken}\t{'; '.join(events)}\n")


def _peak_memory(reset=False):
    """The most memory in bytes that this process held since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

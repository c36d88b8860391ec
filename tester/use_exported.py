"""Reconstruct images with an exported autoencoder, and see how odd each one is.

    python use.py IMAGES [RECONSTRUCTIONS.npy]

IMAGES is a .npy or .npz file in the layout of the data that the model was trained with, or one
picture.
The p-value of an image is (1 + held-out images with at least its error) / (1 + held-out images):
of images like those that the model knows, a hundredth has one of 0.01 at most. Needs numpy and
onnxruntime, for a picture Pillow; model.json beside this file says what images are.
"""

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnxruntime

NARROW = 0.02  # the share of their range below which images are hardly meant
AT_ONCE = 64  # images that are computed together, for memory
# By so small a share of itself the error of the same image differs by rounding, with the images
# that go through the networks beside it.
ROUNDING = 1e-5


def refuse(message: str) -> NoReturn:
    """End with one line that says what is wrong."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def open_networks(folder: Path) -> list[Any]:
    """The encoder and the decoder in a folder."""
    paths = [str(folder / f"{name}.onnx") for name in ("encoder", "decoder")]
    return [
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in paths
    ]


def reconstruct(networks: list[Any], images: np.ndarray) -> np.ndarray:
    """Images float32 [N, C, H, W] -> what encoder and decoder make of them, the same shape."""
    encoder, decoder = networks
    code = encoder.run(None, {"images": images})[0]  # of a VAE the mean
    return decoder.run(None, {"code": code})[0]


def errors_of(images: np.ndarray, made: np.ndarray) -> np.ndarray:
    """The mean squared error of each reconstruction, float64 [N]."""
    return np.square(images.astype(np.float64) - made).mean((1, 2, 3))


def p_values(errors: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """The p-value of each error, [N]; `held_out` are the sorted errors of held-out images.

    An error that is one of a held-out image but for rounding counts as the same.
    """
    at_least = len(held_out) - np.searchsorted(held_out, errors * (1 - ROUNDING), side="left")
    return (1 + at_least) / (1 + len(held_out))


def to_images(array: np.ndarray, model: dict[str, Any], first: int = 0) -> np.ndarray:
    """An array as the data file has them -> float32 [N, C, H, W] in the model's value range.

    Args:
        first: the place of the array's first image, as messages count them.
    """
    (low, high), (bottom, top) = model["file_range"], model["value_range"]
    is_wrong = ~((array >= low) & (array <= high))  # NaN is, too
    if is_wrong.any():
        place = tuple(np.argwhere(is_wrong)[0])
        refuse(f"image {first + place[0]} holds {array[place]}, not between {low:g} and {high:g}")
    if model["layout"] == "codes":
        array = array[..., None] == np.arange(model["shape"][0])
    elif model["layout"] == "HW":
        array = array[..., None]
    images = array if model["channels_first"] else array.transpose(0, 3, 1, 2)
    if model["one_hot"]:
        is_one = np.isin(images, (0, 1)).all(1) & (images.sum(1) == 1)
        if not is_one.all():
            image = first + int(np.argwhere(~is_one)[0][0])
            refuse(f"image {image} has a pixel that is not exactly one of the model's kinds")
        return images.astype(np.float32)
    shares = (images.astype(np.float64) - low) / (high - low)
    return (shares * (top - bottom) + bottom).astype(np.float32)


def to_array(images: np.ndarray, model: dict[str, Any]) -> np.ndarray:
    """Images [N, C, H, W] -> an array in the layout, type and range of the data file."""
    (low, high), (bottom, top) = model["file_range"], model["value_range"]
    if model["one_hot"]:
        codes = images.argmax(1)
        values = codes if model["layout"] == "codes" else np.eye(images.shape[1])[codes]
    else:
        shares = (images.astype(np.float64).clip(bottom, top) - bottom) / (top - bottom)
        values = (shares * (high - low) + low).transpose(0, 2, 3, 1)
        values = values[..., 0] if model["layout"] == "HW" else values
        values = values if np.dtype(model["dtype"]).kind == "f" else values.round()
    values = values.transpose(0, 3, 1, 2) if model["channels_first"] else values
    return np.ascontiguousarray(values, model["dtype"])


def read_picture(path: Path, model: dict[str, Any]) -> np.ndarray:
    """A picture -> an array of one image as the data file has them."""
    from PIL import Image, ImageOps

    (channels, height, width), how = model["shape"], model["picture"]
    with Image.open(path) as opened:
        picture: Any = opened
        is_grey = picture.mode in ("1", "L", "LA")
        if picture.mode.startswith(("I", "F")) or channels not in (1, 3):
            refuse(f"{path}: the model takes no pictures of this kind; give a .npy file")
        if not how["takes_any_colour"] and is_grey != (channels == 1):
            refuse(f"{path}: channels {1 if is_grey else 3}; the model takes {channels}")
        if picture.format not in ("PNG", "TIFF"):  # as a camera writes, which may lie on its side
            picture = ImageOps.exif_transpose(picture)
        if picture.has_transparency_data:
            ground = Image.new("RGBA", picture.size, how["background"])
            picture = Image.alpha_composite(ground, picture.convert("RGBA"))
        picture = picture.convert("RGB" if channels == 3 else "L")
    if how["resize"] and picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    if picture.size != (width, height):
        refuse(f"{path}: {picture.height}x{picture.width} pixels; must be {height}x{width}")
    pixels = np.asarray(picture).reshape(1, height, width, channels).transpose(0, 3, 1, 2)
    bottom, top = model["value_range"]
    if not model["one_hot"]:
        return to_array(pixels / 255 * (top - bottom) + bottom, model | {"dtype": "float64"})
    colours = np.array([entry["colour"] for entry in model["legend"]]) * 255
    colours = np.arange(channels)[:, None] if is_grey else colours  # a grey one holds the codes
    off = 0 if is_grey else 3  # of 255: so far may a colour be off
    is_of = np.isclose(pixels[:, None], colours[:, :, None, None], rtol=0, atol=off).all(2)
    if not is_of.any(1).all():
        refuse(f"{path}: a pixel has none of the legend's colours, and in grey is no code")
    return to_array(is_of, model)


def array_in(loaded: Any, path: Path, model: dict[str, Any]) -> np.ndarray:
    """The array of a .npy file, or that of the images in a .npz file."""
    if isinstance(loaded, np.ndarray):
        return loaded
    wanted, names = model["data_name"], [n for n in loaded.files if n != model["label_name"]]
    if wanted not in names and len(names) != 1:
        others = f"no array '{wanted}' but {', '.join(names)}" if names else "no array of images"
        refuse(f"{path}: holds {others}; save it as '{wanted}' or alone")
    return loaded[wanted if wanted in names else names[0]]


def read_images(path: Path, model: dict[str, Any]) -> np.ndarray:
    """The images in a file, laid out as in the data file."""
    try:
        if path.suffix.lower() in (".npy", ".npz"):
            array = array_in(np.load(path, allow_pickle=False), path, model)
        else:
            array = read_picture(path, model)
    except (OSError, ValueError, EOFError) as error:
        refuse(f"{path}: {error}")
    due = tuple(model["file_shape"])
    array = array[None] if array.shape == due else array  # one image alone
    if array.shape[1:] != due or not len(array) or array.dtype.kind not in "uifb":
        refuse(f"{path}: {array.dtype} {array.shape}; must be numbers (N, {str(due)[1:]}")
    return array


def warn_of_narrow(array: np.ndarray, model: dict[str, Any]) -> None:
    """Say on stderr where images use next to nothing of the model's range."""
    (low, high), least, most = model["file_range"], float(array.min()), float(array.max())
    if not model["one_hot"] and most - least < NARROW * (high - low):
        used = f"{least:g} to {most:g} of {low:g} to {high:g}"
        print(f"warning: the images hold {used}: are they on the same scale?", file=sys.stderr)


def write(target: Path, array: np.ndarray) -> None:
    """Write an array into a .npy file, which appears whole or not at all."""
    place = target.resolve()  # a link stays one
    is_device = place.exists() and not place.is_file()  # as /dev/null, which nothing replaces
    partial = place if is_device else place.with_name(f"{place.name}.partial")
    try:
        with partial.open("wb") as file:
            np.save(file, array)
        if not is_device:
            partial.replace(place)  # a rename is atomic within one folder
    except OSError as error:
        if not is_device:
            partial.unlink(missing_ok=True)
        refuse(f"{target}: cannot be written: {error.strerror}; name another file")


def main() -> None:
    """Print the error and the p-value of each image and write the reconstructions."""
    if {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        return
    if len(sys.argv) not in (2, 3):
        refuse("use: python use.py IMAGES [RECONSTRUCTIONS.npy]")
    folder = Path(__file__).parent
    target = Path(sys.argv[2] if len(sys.argv) == 3 else "reconstructions.npy")
    if target.exists() and Path(sys.argv[1]).exists() and target.samefile(sys.argv[1]):
        refuse(f"{target}: is what is read; name another file for the reconstructions")
    if target.is_dir() or not target.parent.is_dir():  # which is better known before all is done
        problem = "is a folder" if target.is_dir() else "is in no folder that exists"
        refuse(f"{target}: {problem}; name another file for the reconstructions")
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    networks, held_out = open_networks(folder), np.array(model["held_out_errors"])
    array, written, place = read_images(Path(sys.argv[1]), model), [], 0
    starts = range(0, len(array), AT_ONCE)
    for start in starts:  # all are checked before anything is printed
        to_images(array[start : start + AT_ONCE], model, start)
    warn_of_narrow(array, model)
    print("image  error         p-value")
    for start in starts:
        images = to_images(array[start : start + AT_ONCE], model)
        made = reconstruct(networks, images)
        written.append(to_array(made, model))
        errors = errors_of(images, made)
        for error, p_value in zip(errors, p_values(errors, held_out), strict=True):
            print(f"{place:5}  {error:.6e}  {p_value:.6f}")
            place += 1
    write(target, np.concatenate(written))


if __name__ == "__main__":
    main()

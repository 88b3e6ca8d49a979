"""b-values in the private elements of vendors: series are split as dcm2niix splits them."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
import pydicom
import pytest

from fastcam.read.volumes.dicom_private import private_b_value, private_direction
from fastcam.read.volumes.dicom_series import open_series
from fastcam.read.volumes.volumes import open_volume

from .dicom_files import MR_IMAGE, classic

B_VALUES = (0, 500, 1000)
DEPTH = 4
DIRECTION = (0.6, 0.0, 0.8)


def csa_header(**fields: tuple[str, list[str]]) -> bytes:
    """Siemens' CSA2 format: 'SV10', fields with their values as text, padded to 4 bytes."""
    content = b"SV10\4\3\2\1" + struct.pack("<2i", len(fields), 77)
    for name, (kind, values) in fields.items():
        content += struct.pack(
            "<64si4s3i", name.encode(), len(values), kind.encode(), 0, len(values), 77
        )
        for value in values:
            text = value.encode() + b"\0"
            content += struct.pack("<4i", len(text), len(text), 77, len(text))
            content += text + b"\0" * (-len(text) % 4)
    return content


def add_elements(image: pydicom.Dataset, vendor: str, b: int) -> None:
    def block(group: int, creator: str) -> Any:
        return image.private_block(group, creator, create=True)

    if vendor == "siemens":
        image.Manufacturer = "SIEMENS"
        private = block(0x0019, "SIEMENS MR HEADER")
        private.add_new(0x0C, "IS", str(b))
        if b:
            private.add_new(0x0E, "FD", list(DIRECTION))
    elif vendor == "siemens csa":
        image.Manufacturer = "SIEMENS"
        along = [str(part) for part in DIRECTION] if b else []
        header = csa_header(B_value=("IS", [str(b)]), DiffusionGradientDirection=("FD", along))
        block(0x0029, "SIEMENS CSA HEADER").add_new(0x10, "OB", header)
    elif vendor == "ge":
        image.Manufacturer = "GE MEDICAL SYSTEMS"
        block(0x0043, "GEMS_PARM_01").add_new(0x39, "IS", [str(1_000_000_000 + b), "8", "0", "0"])
        if b:
            for element, part in zip((0xBB, 0xBC, 0xBD), DIRECTION, strict=True):
                block(0x0019, "GEMS_ACQU_01").add_new(element, "DS", str(part))
    else:
        image.Manufacturer = "Philips Medical Systems"
        block(0x2001, "Philips Imaging DD 001").add_new(0x03, "FL", float(b))
        if b:
            for element, part in zip((0xB0, 0xB1, 0xB2), DIRECTION, strict=True):
                block(0x2005, "Philips MR Imaging DD 001").add_new(element, "FL", part)


VENDORS = ("siemens", "siemens csa", "ge", "philips")


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(vendor: str, tmp_path: Path) -> Path:
    # Numbered place by place: nothing but the private element tells the volumes apart.
    names = [z * 3 + number for number in range(3) for z in range(DEPTH)]
    return write(tmp_path, vendor, names)


def write(tmp_path: Path, vendor: str, names: list[int]) -> Path:
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 900, (3 * DEPTH, 6, 8)).astype(np.int16)
    heights = [2.0 * z for _ in B_VALUES for z in range(DEPTH)]
    folder = tmp_path / "s"
    classic(folder, voxels, heights, storage=MR_IMAGE, names=names, Modality="MR")
    for place, name in enumerate(names):
        path = folder / f"{name:03d}.dcm"
        image = pydicom.dcmread(path)
        add_elements(image, vendor, B_VALUES[place // DEPTH])
        image.save_as(path)
    np.save(tmp_path / "voxels.npy", voxels.reshape(3, DEPTH, 6, 8))
    return folder


def test_volumes_by_b_value(folder: Path) -> None:
    voxels = np.load(folder.parent / "voxels.npy")
    volumes = open_series(sorted(folder.iterdir())).volumes
    assert [volume.name for volume in volumes] == [f"b {b}" for b in B_VALUES]
    for number, b in enumerate(B_VALUES):
        assert np.array_equal(open_volume(folder, volume=f"b {b}").voxels, voxels[number])
    header = pydicom.dcmread(folder / "001.dcm")
    assert private_b_value(header) == 500
    np.testing.assert_allclose(private_direction(header), DIRECTION, rtol=1e-6)


def test_elements_of_unknown_representation(folder: Path) -> None:
    """As implicit files have them that were written by programs without a private dictionary."""
    path = folder / "002.dcm"
    image = pydicom.dcmread(path)
    for element in list(image):
        if element.tag.is_private and not element.tag.is_private_creator:
            values = element.value if isinstance(element.value, list) else [element.value]
            if element.VR in ("FL", "FD"):
                code = "f" if element.VR == "FL" else "d"
                plain = element.value if hasattr(element.value, "__len__") else [element.value]
                content = struct.pack(f"<{len(plain)}{code}", *plain)
            elif element.VR == "OB":
                content = element.value
            else:
                plain = element.value if hasattr(element.value, "append") else values
                content = "\\".join(str(part) for part in plain).encode()
            image[element.tag] = pydicom.DataElement(element.tag, "UN", content)
    assert private_b_value(image) == 1000
    np.testing.assert_allclose(private_direction(image), DIRECTION, rtol=1e-6)


def test_as_dcm2niix_has_them(vendor: str, tmp_path: Path) -> None:
    """Volumes and b-values as in the file that dcm2niix writes of the series."""
    folder = write(tmp_path, vendor, list(range(3 * DEPTH)))
    target = tmp_path / "n"
    target.mkdir()
    command = [dcm2niix.bin, "-b", "n", "-z", "n", "-f", "x", "-o", target, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    values = [path.read_text().split() for path in sorted(target.glob("*.bval"))]
    if not values:
        pytest.skip(f"dcm2niix wants more of this vendor's files: {done.stdout.splitlines()[-1]}")
    assert sorted(float(b) for of_file in values for b in of_file) == list(B_VALUES)
    (path,) = target.glob("*.nii")
    image: Any = nibabel.load(path)
    own = {b: open_volume(folder, volume=f"b {b}").voxels for b in B_VALUES}
    for number, b in enumerate(values[0]):
        # dcm2niix turns rows over.
        stored = np.asarray(image.dataobj)[..., number].T
        assert any(
            np.array_equal(turned, own[int(float(b))])
            for turned in (stored, stored[:, ::-1], stored[::-1], stored[::-1, ::-1])
        )


def test_what_is_no_b_value() -> None:
    image = pydicom.Dataset()
    assert private_b_value(image) is None
    assert private_direction(image) == ()
    block = image.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    for content in (b"", b"SV10", b"junk" * 9, csa_header(B_value=("IS", ["x"]))):
        block.add_new(0x10, "OB", content)
        assert private_b_value(image) is None
    # Another creator's element of the same number means something else.
    image.private_block(0x0019, "OTHER", create=True).add_new(0x0C, "IS", "800")
    assert private_b_value(image) is None

"""Finding images and volumes: folders, patterns, lists, tables, and their masks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item, find_inputs, stem_of
from fastcam.storage.object_path import ObjectPath


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def found(items: list[Item], root: Path) -> list[tuple[str, str, str]]:
    return [(item.id, item.group, item.source.relative_to(root).as_posix()) for item in items]


def test_a_folder_and_all_below(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b10.png",
        "b9.JPG",
        "sub/c.tif",
        "sub/deep/d.webp",
        "notes.doc",
        "x.nii.gz",
        ".hidden.png",
        ".git/e.png",
        "run.zarr/f.png",
        "sub/run.zarr/g.png",
    )
    assert found(find_inputs([tmp_path]), tmp_path) == [
        ("b9", "", "b9.JPG"),
        ("b10", "", "b10.png"),
        ("c", "sub", "sub/c.tif"),
        ("d", "sub/deep", "sub/deep/d.webp"),
    ]


def test_ids_are_unique(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "b/x.png", "b/y.png", "b/y.jpg", "z.png")
    names = [item.id for item in find_inputs([tmp_path])]
    assert names == ["a/x", "b/x", "b/y.jpg", "b/y.png", "z"]
    names = [item.id for item in find_inputs([tmp_path / "a", tmp_path / "b"])]
    assert names == ["a/x", "b/x", "b/y.jpg", "b/y.png"]
    with pytest.raises(InputError, match=r"z\.png: is given twice"):
        find_inputs([tmp_path, tmp_path / "z.png"])


def test_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "out/b.png")
    (tmp_path / "in" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "there").symlink_to(tmp_path / "out")
    assert [item.id for item in find_inputs([tmp_path / "in"])] == ["a", "b"]


def test_patterns(tmp_path: Path) -> None:
    touch(tmp_path, "a_t1.png", "a_t2.png", "s/b_t2.png", "s/.c_t2.png", "run.zarr/d_t2.png")
    assert found(find_inputs([tmp_path], "**/*_t2.png"), tmp_path) == [
        ("a_t2", "", "a_t2.png"),
        ("b_t2", "s", "s/b_t2.png"),
    ]
    assert found(find_inputs([f"{tmp_path}/*_t1.png"]), tmp_path) == [("a_t1", "", "a_t1.png")]
    with pytest.raises(InputError, match=r"no file matches the pattern '\*\.tif'"):
        find_inputs([tmp_path], "*.tif")
    with pytest.raises(InputError, match="can't be used"):
        find_inputs([tmp_path], "/abs/*")
    with pytest.raises(InputError, match=r"--pattern '\*' needs a folder"):
        find_inputs([tmp_path / "a_t1.png"], "*")


def test_lists_name_files_by_urls(bucket: ObjectPath, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (bucket / f"i/{name}").write_bytes(b"x")
    near = tmp_path / "list.txt"
    near.write_text(f"{bucket}/i/b.png\n{bucket}/i/a.png\n")
    (bucket / "i/list.txt").write_bytes(f"{bucket}/i/b.png\na.png\n".encode())
    for path in (near, bucket / "i/list.txt"):
        sources = [item.source for item in find_inputs([path])]
        assert sources == [bucket / "i/b.png", bucket / "i/a.png"]


def test_lists(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "i/b.png")
    text = f"# first\n\n i/b.png\n{tmp_path}/i/a.png\r\n"
    (tmp_path / "list.txt").write_text(text, encoding="utf-8-sig")
    assert found(find_inputs([tmp_path / "list.txt"]), tmp_path) == [
        ("b", "i", "i/b.png"),
        ("a", "i", "i/a.png"),
    ]
    (tmp_path / "list.txt").write_text("i/a.png\nno.png\nnot.png\n")
    with pytest.raises(InputError, match=r"2 of 3 files are missing, the first is .*/no\.png"):
        find_inputs([tmp_path / "list.txt"])
    (tmp_path / "list.txt").write_text("# none\n")
    with pytest.raises(InputError, match="names no image"):
        find_inputs([tmp_path / "list.txt"])
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8"):
        find_inputs([tmp_path / "list.txt"])


@pytest.mark.parametrize("column", ["image", "Path", "file"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables(tmp_path: Path, column: str, delimiter: str) -> None:
    touch(tmp_path, "i/a.png", "i/b, c.png", "m/a.png")
    lines = [
        [column, "age", "label", "mask", "id"],
        ["i/a.png", "3", "1", "m/a.png", "first"],
        [],
        ['"i/b, c.png"', "4", "", "", ""],
    ]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(delimiter.join(line) for line in lines))
    expected = [
        Item("first", "i", tmp_path / "i/a.png", tmp_path / "m/a.png", "1"),
        Item("b, c", "i", tmp_path / "i/b, c.png"),
    ]
    assert find_inputs([table]) == find_inputs([], table=table) == expected


def test_a_table_of_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/b.png")
    table = tmp_path / "t.csv"
    table.write_text("file,label\nb.png,1\n")
    items = find_inputs([tmp_path / "images"], table=table)
    assert items == [Item("b", "", tmp_path / "images/b.png", None, "1")]
    with pytest.raises(InputError, match="goes with one folder"):
        find_inputs([tmp_path / "images/a.png"], table=table)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,label\na,1\n", "has no column image, path or file; it has name, label"),
        ("", "has no column"),
        ("image\n", "heading only"),
        ("image,label\n,1\n", "row 2 names no image"),
        ("image\nb.png\n", r"1 of 1 files are missing, the first is .*b\.png"),
        ("image,mask\na.png,m.png\n", r"1 of 1 files are missing, the first is .*m\.png"),
        ("image\na.png\na.png\n", "is given twice"),
        ("image,id\na.png,x\nc.png,x\n", "two images have the id 'x'"),
        ('image\n"a.png\n', "not a table of comma-separated"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    touch(tmp_path, "a.png", "c.png")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        find_inputs([tmp_path / "t.csv"])
    assert "\n" not in str(caught.value)


def test_volumes(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.nii.gz",
        "b.nii",
        "n/c.npy",
        "n/d.mha",
        "n/preview.png",
        "dcm/1.dcm",
        "dcm/2.dcm",
        "p/x/1.png",
        "p/x/2.png",
        "notes/readme.md",
    )
    bare = tmp_path / "bare" / "IM0001"
    bare.parent.mkdir()
    bare.write_bytes(bytes(128) + b"DICM")
    assert found(find_inputs([tmp_path], dims=3), tmp_path) == [
        ("a", "", "a.nii.gz"),
        ("b", "", "b.nii"),
        ("bare", "", "bare"),
        ("dcm", "", "dcm"),
        ("c", "n", "n/c.npy"),
        ("d", "n", "n/d.mha"),
        ("x", "p", "p/x"),
    ]
    [series] = find_inputs([tmp_path / "dcm"], dims=3)
    assert (series.id, series.group, series.source) == ("dcm", "", tmp_path / "dcm")
    with pytest.raises(InputError, match=r"notes: holds no volumes"):
        find_inputs([tmp_path / "notes"], dims=3)
    touch(tmp_path, "only/a.nii.gz")
    with pytest.raises(InputError, match=r"holds no images: .*, but 1 volume:"):
        find_inputs([tmp_path / "only"])


def test_folders_of_slices_are_called_after_the_patient(tmp_path: Path) -> None:
    touch(tmp_path, "i/A/scan_JPG/1.jpg", "i/B/x/CT_jpg/1.jpg", "m/A_mask.png", "m/n/x_mask.npy")
    items = find_inputs([tmp_path / "i"], mask_dir=tmp_path / "m", dims=3)
    assert found(items, tmp_path / "i") == [("A", "", "A/scan_JPG"), ("x", "B", "B/x/CT_jpg")]
    assert [item.mask for item in items] == [tmp_path / "m/A_mask.png", tmp_path / "m/n/x_mask.npy"]
    [alone] = find_inputs([tmp_path / "i/A"], dims=3)
    assert alone.id == "A"


def test_masks(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", "a.png", "s/b.jpg", "t/b.jpg", "c.png", "d.png", "e.png")
    masks = touch(
        tmp_path / "m", "a.tif", "a_mask.png", "s/b.png", "t/b_mask.png", "flat/c.png", "d_mask.bmp"
    )
    items = find_inputs([images], mask_dir=masks)
    assert {item.id: item.mask and item.mask.relative_to(masks).as_posix() for item in items} == {
        "a": "a_mask.png",
        "s/b": "s/b.png",
        "t/b": "t/b_mask.png",
        "c": "flat/c.png",
        "d": "d_mask.bmp",
        "e": None,
    }
    touch(masks, "other/c.png")
    with pytest.raises(InputError, match=r"c\.png and .*c\.png are both the mask of .*c\.png"):
        find_inputs([images], mask_dir=masks)
    with pytest.raises(InputError, match="no mask fits any image; looked for a_mask and a"):
        find_inputs([images / "a.png"], mask_dir=touch(tmp_path / "o", "z.png"))
    with pytest.raises(InputError, match="is not a folder"):
        find_inputs([images], mask_dir=tmp_path / "none")


def test_masks_beside_or_below_the_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "masks/a.png")
    [item] = find_inputs([tmp_path], mask_dir=tmp_path / "masks")
    assert (item.source, item.mask) == (tmp_path / "a.png", tmp_path / "masks/a.png")
    beside = touch(tmp_path / "b", "v.nii.gz", "v_mask.nii.gz")
    [item] = find_inputs([beside], mask_dir=beside, dims=3)
    assert (item.id, item.mask) == ("v", beside / "v_mask.nii.gz")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        find_inputs([tmp_path])
    with pytest.raises(InputError, match="does not exist"):
        find_inputs([tmp_path / "none"])
    with pytest.raises(InputError, match="no images given"):
        find_inputs([])
    if os.geteuid():
        (tmp_path / "shut").mkdir(0o000)
        with pytest.raises(InputError, match="can't be read"):
            find_inputs([tmp_path / "shut"])


def test_stems() -> None:
    assert stem_of("a/b.nii.gz") == "a/b"
    assert stem_of("v1.2.PNG") == "v1.2"
    assert stem_of("v1.2") == "v1.2"
    assert stem_of(".png") == ".png"

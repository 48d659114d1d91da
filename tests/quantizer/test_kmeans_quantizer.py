import torch

from qbert4rec_hf.quantizer.kmeans_quantizer import k_means, squared_distances


def blobs(num_blobs=6, each=30):
    generator = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(num_blobs, 4, generator=generator)
    noise = 0.1 * torch.randn(num_blobs, each, 4, generator=generator)
    return centres, (centres[:, None] + noise).flatten(0, 1)


def test_squared_distances():
    points, centroids = torch.randn(5, 3), torch.randn(4, 3)
    expected = torch.cdist(points, centroids) ** 2
    torch.testing.assert_close(squared_distances(points, centroids), expected, atol=1e-5, rtol=1e-4)


def test_finds_separate_groups():
    centres, points = blobs()
    found = k_means(points, len(centres))
    assert torch.cdist(centres, found).min(dim=1).values.max() < 0.2


def test_more_rounds_fit_better():
    points = torch.randn(400, 4, generator=torch.Generator().manual_seed(1))
    fits = [
        squared_distances(points, k_means(points, 16, iterations=n)).min(1).values.mean()
        for n in (1, 30)
    ]
    assert fits[1] < fits[0]


def test_the_seed_decides():
    _, points = blobs()
    assert torch.equal(k_means(points, 9, seed=3), k_means(points, 9, seed=3))
    assert not torch.equal(k_means(points, 9, seed=3), k_means(points, 9, seed=4))
    # The global generator is neither used nor moved.
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    k_means(points, 9)
    assert torch.equal(torch.rand(3), expected)


def test_fewer_points_than_centroids():
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    found = k_means(points, 5)
    assert found.shape == (5, 2) and torch.isfinite(found).all()
    assert squared_distances(points, found).min(1).values.max() == 0
    assert torch.equal(k_means(torch.ones(4, 2), 3), torch.ones(3, 2))


def test_a_sample_of_many_points_does():
    centres, points = blobs(num_blobs=2, each=1000)
    assert torch.cdist(centres, k_means(points, 2)).min(dim=1).values.max() < 0.2

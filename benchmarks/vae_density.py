"""Log-density of a VAE by importance sampling, beside Pyro and Pythae. Ours also returns its standard error, the
effective sample size and Pareto's k."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal

from benchmarks.harness import Comparison, Growth, Peer
from derivable.devices import device
from derivable.generative.vae_density import (
    bernoulli_log_likelihood,
    gaussian_log_likelihood,
    log_density_estimate,
)

TITLE = "The density of a variational autoencoder"
LIKELIHOODS = {"Gaussian": gaussian_log_likelihood, "Bernoulli": bernoulli_log_likelihood}
TARGET = 2


class Networks(nn.Module):
    """One hidden layer each way; the decoder's outputs are small, so that the weights have a finite variance."""

    def __init__(self, kind: str, d: int, hidden: int, k: int):
        super().__init__()
        self.kind = kind
        self.encoder = nn.Sequential(nn.Linear(d, hidden), nn.Tanh(), nn.Linear(hidden, 2 * k))
        self.decoder = nn.Sequential(nn.Linear(k, hidden), nn.Tanh(), nn.Linear(hidden, d))
        for network in (self.encoder, self.decoder):
            nn.init.normal_(network[-1].weight, std=0.1 * hidden**-0.5)
        self.register_buffer("one", torch.ones(()))
        self.requires_grad_(False)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = self.encoder(x).chunk(2, -1)
        return mean, log_scale.exp()

    def decode(self, z: Tensor) -> tuple[Tensor, ...]:
        return (self.decoder(z), self.one) if self.kind == "Gaussian" else (self.decoder(z),)


def problem(kind: str, batch: int, d: int, hidden: int, k: int) -> tuple[Networks, Tensor]:
    torch.manual_seed(0)
    networks, x = Networks(kind, d, hidden, k), torch.randn(batch, d)
    return networks.to(device()), (x if kind == "Gaussian" else (x > 0).float()).to(device())


@torch.no_grad()
def exact(networks: Networks, x: Tensor, K: int) -> tuple[Tensor, Tensor]:
    """log p(x) in float64 from many samples, by torch.distributions alone, and the deviation of a single weight."""
    networks, x, logs = networks.double(), x.double(), []
    law = Normal(*networks.encode(x))
    for _ in range(K // 64):
        z = law.sample((64,))
        likelihood = (Normal if networks.kind == "Gaussian" else lambda logits: Bernoulli(logits=logits))(
            *networks.decode(z))
        logs.append((Normal(0, 1).log_prob(z) - law.log_prob(z)).sum(-1) + likelihood.log_prob(x).sum(-1))
    logs = torch.cat(logs)
    log_density = logs.logsumexp(0) - math.log(len(logs))
    return log_density, (logs - log_density).exp().std(0)


def density(kind: str, batch: int, K: int, d: int, hidden: int, k: int) -> Comparison:
    networks, x = problem(kind, batch, d, hidden, k)
    truth, deviation = exact(problem(kind, batch, d, hidden, k)[0], x, 64 * K)

    def make_pyro(validate):
        def make():
            import pyro
            from pyro import distributions, poutine

            def model(x):
                with pyro.plate("batch", batch):
                    z = pyro.sample("z", distributions.Normal(x.new_zeros(batch, k), 1.0).to_event(1))
                    law = (distributions.Normal if kind == "Gaussian" else
                           lambda logits: distributions.Bernoulli(logits=logits))(*networks.decode(z))
                    pyro.sample("x", law.to_event(1), obs=x)

            def guide(x):
                with pyro.plate("batch", batch):
                    pyro.sample("z", distributions.Normal(*networks.encode(x)).to_event(1))

            @torch.no_grad()
            def call():
                with pyro.plate("K", K, dim=-2), pyro.validation_enabled(validate):
                    guided = poutine.trace(guide).get_trace(x)
                    replayed = poutine.trace(poutine.replay(model, guided)).get_trace(x)
                    guided.compute_log_prob()
                    replayed.compute_log_prob()
                    joint = replayed.nodes["z"]["log_prob"] + replayed.nodes["x"]["log_prob"]
                    return torch.logsumexp(joint - guided.nodes["z"]["log_prob"], 0) - math.log(K)

            return call

        return make

    def make_pythae():
        from pythae.models import VAE, VAEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder

        class Encoder(BaseEncoder):
            def forward(self, x):
                mean, log_scale = networks.encoder(x.flatten(1)).chunk(2, -1)
                return ModelOutput(embedding=mean, log_covariance=2 * log_scale)

        class Decoder(BaseDecoder):
            def forward(self, z):
                output = networks.decoder(z)
                return ModelOutput(reconstruction=output if kind == "Gaussian" else output.sigmoid())

        config = VAEConfig(input_dim=(d,), latent_dim=k, reconstruction_loss="mse" if kind == "Gaussian" else "bce")
        vae = VAE(config, Encoder(), Decoder()).to(device())

        @torch.no_grad()
        def call():
            return torch.tensor(vae.get_nll(x, n_samples=K, batch_size=K))

        return call

    def error(answer) -> float:
        """In standard errors of K samples; Pythae returns the mean over the rows."""
        found = getattr(answer, "log_density", answer)
        if found.ndim == 0:
            return float((found - truth.mean()).abs() / (deviation.square().sum() / K).sqrt() * batch)
        return float(((found - truth).abs() / (deviation / K**0.5)).max())

    return Comparison(
        name=f"{kind} decoder {k}-{hidden}-{d}, {batch} rows, {K} samples, float32",
        ours=lambda: log_density_estimate(x, networks.encode, networks.decode, K,
                                          log_likelihood=LIKELIHOODS[kind]),
        peers={"Pyro": Peer(make_pyro(True), TARGET), "Pyro without validation": Peer(make_pyro(False), TARGET),
               "Pythae, get_nll": Peer(make_pythae, TARGET)},
        error=error, measure="standard errors, against 64 times as many samples in float64", tolerance=5,
        work={"gemm float32": 2 * K * batch * (k * hidden + hidden * d),
              "exp float32": K * batch * (hidden + (d if kind == "Bernoulli" else 0))},
        note="Everyone must multiply by the same weights and take the same tanh (and log-sigmoid) of each sample, and "
             "that is most of our time. What can be saved is the memory traffic around it: much for a narrow decoder, "
             "little for a wide one. Ours also gives the standard error, the effective sample size and Pareto's k.")


def comparisons(tiny: bool = False) -> list[Comparison]:
    """The decoder of 400 units is that of PyTorch's example; a narrow one leaves more to save."""
    sizes = [(2, 64, 6, 5, 2)] if tiny else [(16, 256, 784, 400, 20), (16, 256, 784, 128, 20)]
    return [density(kind, *size) for kind in LIKELIHOODS for size in sizes]


def growths() -> list[Growth]:
    networks, x = problem("Gaussian", 16, 784, 400, 20)
    return [Growth("log_density_estimate", "samples", (128, 256, 512, 1024, 2048),
                   lambda K: lambda: log_density_estimate(x, networks.encode, networks.decode, K), time=1, memory=0)]

"""The variational autoencoder: the encoder gives a distribution of codes, not one code."""

from typing import Literal

import torch
import torch.nn.functional as F

from base.base_model import BaseModel, LayerRow
from model.autoencoder import decoder_layers, encoder_layers, last_activation
from model.label import Label, numbers_of
from model.layers import Activation, AnyLayer, Conv, Defaults, LayerList, Linear, parse_layers
from model.network import Network
from model.sizes import flattened_maps, shape_text

# exp() of an unbounded log variance overflows; these bounds lie far outside of any useful one.
LOWEST_LOGVAR, HIGHEST_LOGVAR = -30.0, 20.0


class VAE(BaseModel):
    """A variational autoencoder with a diagonal Gaussian posterior and a standard normal prior.

    While training, an image is decoded from a sample of its posterior; in evaluation from the
    posterior's mean, which is also its code.

    Args:
        shape: C, H, W of the images.
        encoder: the layers from image to what mean and log variance are made from.
        latent: one "linear" or "conv" layer, built twice: for the mean and for the log variance.
            Its norm and activation are those it names itself, not those of `defaults`.
        decoder: the layers from code to image, or "mirror" for encoder and latent turned around.
        defaults, output_activation: as in Autoencoder.
        conditional: whether encoder and decoder are shown the class of an image, as in
            Autoencoder; the prior is the same for all classes.
        classes: how many there are.

    Raises:
        ValueError: the layers cannot return an image of `shape`, or `latent` is of another kind.

    Source: Kingma and Welling 2014, "Auto-encoding variational Bayes", appendix C.2.
    """

    runtime = ("shape", "classes")
    gives = ("logvar",)

    def __init__(
        self,
        shape: tuple[int, int, int],
        encoder: LayerList,
        latent: AnyLayer,
        decoder: Literal["mirror"] | LayerList = "mirror",
        defaults: Defaults = Defaults(),  # noqa: B008, a frozen value
        output_activation: Activation | None = None,
        conditional: bool = False,
        classes: int = 1,
    ) -> None:
        super().__init__(shape)
        self.conditional = conditional
        self.label = Label(classes) if conditional else None
        label = self.label.embedding_dim if self.label else 0
        (head,) = parse_layers([latent])
        if not isinstance(head, Conv | Linear):
            raise ValueError(f'latent: is a "{head.kind()}"; must be a "conv" or a "linear" layer')
        head = head.filled(defaults.model_copy(update={"norm": None, "activation": None}))
        layers = encoder_layers(encoder, defaults, shape)
        self.encoder = Network(layers, shape, label=label)
        self.mean = Network([head], self.encoder.shapes[-1])
        self.logvar = Network([head], self.encoder.shapes[-1])
        self.code_shape = self.mean.shapes[-1]
        shapes = [*self.encoder.shapes, self.code_shape]
        layers = decoder_layers(decoder, defaults, [*layers, head], shapes, output_activation)
        maps = flattened_maps(shapes)
        self.decoder = Network(layers, self.code_shape, maps, ending=shape, label=label)
        self.output_activation = last_activation(layers)

    def posterior(
        self, x: torch.Tensor, labels: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x [N, C, H, W] -> mean, log variance, each [N, *code_shape]."""
        features = self.encoder(x, numbers_of(self.label, labels))
        logvar = F.hardtanh(self.logvar(features), LOWEST_LOGVAR, HIGHEST_LOGVAR)
        return self.mean(features).float(), logvar.float()

    def encode(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """x [N, C, H, W] -> the posterior's mean [N, *code_shape]."""
        return self.posterior(x, labels)[0]

    def decode(self, code: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """code [N, *code_shape] -> images [N, C, H, W]."""
        return self.decoder(code, numbers_of(self.label, labels))

    def forward(
        self, x: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """x [N, C, H, W] -> reconstruction, code (the mean) and logvar, by name."""
        mean, logvar = self.posterior(x, labels)
        code = _sample(mean, logvar) if self.training else mean
        return {"reconstruction": self.decode(code, labels), "code": mean, "logvar": logvar}

    def rows(self) -> list[LayerRow]:
        """The label, if any, and the layers of encoder, both heads and decoder."""
        label = self.label.rows() if self.label else []
        (mean,), (logvar,) = self.mean.rows(), self.logvar.rows()
        heads = [
            mean._replace(layer=f"mean: {mean.layer}"),
            logvar._replace(layer=f"log variance: {logvar.layer}"),
        ]
        code = LayerRow("code", shape_text(self.code_shape), "")
        return [*label, *self.encoder.rows(), *heads, code, *self.decoder.rows()]


def _sample(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """A code from each posterior, [N, *code_shape]."""
    # Channels lie last in memory, and torch is ten times slower to draw in another order.
    noise = torch.randn_like(mean.movedim(1, -1)).movedim(-1, 1)
    return torch.addcmul(mean, noise, (0.5 * logvar).exp())

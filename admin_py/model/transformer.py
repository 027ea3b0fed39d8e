"""The Transformer: a model of the compute core with its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.builds import DTYPES, MAX_SEED, MODULES
from admin_py.base.checks import check_bool, check_choice, check_integer, check_segments, shown
from admin_py.base.mappings import ReadOnlyMapping
from admin_py.base.unused import goes_with
from admin_py.data.batch import Batch
from admin_py.data.vocabulary import Vocabulary
from admin_py.model.activations import observe
from admin_py.model.config import TransformerConfig
from admin_py.model.decoder import Decoder
from admin_py.model.dropout_steps import CountsSteps
from admin_py.model.folding import fold
from admin_py.model.loss import Loss
from admin_py.model.observation import Observation
from admin_py.model.precision import check_precision
from admin_py.model.profiled import Profiled
from admin_py.model.state import check_state, write_state
from admin_py.model.stored import Stored
from admin_py.model.undrawn import draws, undrawn


@door
class Transformer(CountsSteps, Profiled, Stored):
    """An encoder-decoder, a language model or an encoder, with the residual scheme of its configuration.

    Parameters
    ----------
    config : TransformerConfig
    seed : int
        Of the first weights and of dropout, from 0 to 2^64 - 1.
    dtype : {"float32", "float64"}
        In which it computes.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was given and what was expected.
    MemoryError
        If there is no memory for the weights.

    Examples
    --------
    >>> config = TransformerConfig(
    ...     vocab_size=20, encoder_layers=2, decoder_layers=2, d_model=8, heads=2, d_ff=16
    ... )
    >>> model = Transformer(config, seed=1)
    >>> batch = Batch([[4, 5, 6], [7, 8]], [[1, 9, 10, 2], [1, 11, 2]])
    >>> model.forward(batch).shape
    (5, 20)
    >>> model.backward(batch).num_tokens
    5
    >>> model.gradients["encoder.0.self_attn.q.weight"].shape
    (8, 8)
    """

    def __init__(self, config: TransformerConfig, *, seed: int = 0, dtype: str = "float32") -> None:
        if not isinstance(config, TransformerConfig):
            raise TypeError(
                f"config must be a TransformerConfig, got an object of type {type(config).__name__}"
            )
        self._config = config
        self._dtype = check_choice("dtype", dtype, DTYPES)
        check_precision(config, self._dtype)
        self._core = MODULES[self._dtype].Transformer(
            config.to_core(), check_integer("seed", seed, 0, MAX_SEED), draws()
        )
        self._parameters: Mapping[str, NDArray[Any]] = ReadOnlyMapping(self._core.parameters)
        self._gradients: Mapping[str, NDArray[Any]] | None = None

    # What it is

    @property
    def config(self) -> TransformerConfig:
        """Sizes and scheme."""
        return self._config

    @property
    def dtype(self) -> str:
        """ "float32" or "float64"."""
        return self._dtype

    @property
    def seed(self) -> int:
        """Of dropout; may be set."""
        return self._core.seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._core.seed = check_integer("seed", value, 0, MAX_SEED)

    @property
    def num_parameters(self) -> int:
        """Number of trained elements."""
        return self._core.num_parameters

    @property
    def memory(self) -> dict[str, int]:
        """Bytes held by ``weights``, ``gradients`` and ``activations``."""
        return self._core.memory

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of work in all passes so far, of all threads together, by kind.

        Kinds are ``products`` (matrix products of linear maps and logits), ``attention``, ``rows`` (norms,
        residuals, dropout, activations, embeddings) and ``loss``. RuntimeError while a thread computes.
        """
        return self._core.timings

    @property
    def vocabulary(self) -> Vocabulary | None:
        """Of which data its ids are: set by a training, kept in its file, compared with data that are given
        with the model. None where nothing is known; may be set to None to take other data nevertheless.
        """
        return self._vocabulary

    @vocabulary.setter
    def vocabulary(self, value: Vocabulary | None) -> None:
        if value is not None and not isinstance(value, Vocabulary):
            raise TypeError(f"vocabulary must be such as data.vocabulary, or None, got {shown(value)}")
        if value is not None and value.size > self.config.vocab_size:
            raise ValueError(f"vocabulary has {value.size} ids, the model only {self.config.vocab_size}")
        self._vocabulary = value

    _vocabulary: Vocabulary | None = None
    _ready: int = -1
    """A file descriptor that backward passes tell once the gradients of the decoder's layers are whole."""

    def __repr__(self) -> str:
        config = self.config
        layers = " + ".join(f"{stack} {config.stack_layers(stack)} layers" for stack in config.stacks)
        return (
            f"Transformer({layers}, d_model={config.d_model}, heads={config.heads}, d_ff={config.d_ff}, "
            f"vocab_size={config.vocab_size}, scheme={config.scheme_name!r}, "
            f"{self.num_parameters:,} parameters, {self.dtype}, {self.memory['weights'] / 1e6:.1f} MB)"
        )

    # Parameters

    @property
    def parameters(self) -> Mapping[str, NDArray[Any]]:
        """Name -> array of the weights. Views: writing to them changes the model."""
        return self._parameters

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the parameters that optimisers change."""
        return self._core.trained

    @property
    def gradients(self) -> Mapping[str, NDArray[Any]]:
        """Name -> array of the gradients of the last `backward`: views, allocated at the first use."""
        if self._gradients is None:
            self._gradients = ReadOnlyMapping(self._core.gradients)
        return self._gradients

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Name -> copy of every parameter, to be given to `load_state` later."""
        return {name: value.copy() for name, value in self.parameters.items()}

    def load_state(self, state: Mapping[str, Any], *, allow_nonfinite: bool = False) -> None:
        """Take all parameters from a mapping.

        Parameters
        ----------
        state : mapping
            Name -> array of floating point numbers, exactly the model's names and shapes. Another precision
            is rounded to the model's. Views of the model's own parameters are taken as they were.
        allow_nonfinite : bool
            Whether numbers that are not finite may be loaded.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter that is missing, unknown, of a wrong shape or type, or not finite; the model
            is then as before.
        """
        checked = check_state(
            state, self.parameters, allow_nonfinite=check_bool("allow_nonfinite", allow_nonfinite)
        )
        write_state(checked, self._core.parameters)  # its own views: those handed out may be read-only

    # Passes

    def _batch(self, batch: Batch) -> Any:
        if not isinstance(batch, Batch):
            raise TypeError(f"batch must be a Batch, got an object of type {type(batch).__name__}")
        return batch.core(self.dtype)

    def _need_decoder(self) -> None:
        if self.config.kind == "encoder":
            raise ValueError(
                "an encoder predicts no tokens, so it has no loss; forward gives its hidden states"
            )

    @goes_with(step=("training=True, which has dropout", lambda given: given["training"]))
    def forward(self, batch: Batch, *, training: bool = False, step: int | None = None) -> NDArray[Any]:
        """Logits [M_target, V] of every predicted token; of an encoder hidden states [M, D].

        Parameters
        ----------
        batch : Batch
        training : bool
            Whether dropout is on.
        step : int, optional
            Of dropout's random numbers: the same step drops the same elements. By default `step`, the model's
            counter, which goes on with every pass with dropout.

        Raises
        ------
        IndexError
            If a token id is not in the vocabulary.
        ValueError
            If a sequence is too short or too long for the model, or there is no target where one is read.
        """
        with self._numbered(step, training=training) as number:
            return self._core.forward(self._batch(batch), training=training, step=number)

    @goes_with(step=("training=True, which has dropout", lambda given: given["training"]))
    def loss(
        self,
        batch: Batch,
        *,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        training: bool = False,
        step: int | None = None,
    ) -> Loss:
        """Cross-entropy of the predicted tokens, in nats, label-smoothed and plain.

        Parameters
        ----------
        batch : Batch
        label_smoothing : float
            Probability mass spread evenly over the vocabulary, from 0 to 1. None unless it is asked for, of
            `backward` and `observe` too; trainings and analyses smooth by `base.defaults.LABEL_SMOOTHING`.
        z_loss : float
            Coefficient, from 0, of log(sum of e^logits)^2, which is added to the loss of every token, so that
            logits stay near a scale at which they are probabilities (PaLM, Chowdhery et al. 2022, has 1e-4).
        training, step
            As for `forward`.
        """
        self._need_decoder()
        with self._numbered(step, training=training) as number:
            options = {"label_smoothing": label_smoothing, "z_loss": z_loss}
            options |= {"training": training, "step": number}
            return Loss(*self._core.loss(self._batch(batch), **options))

    @goes_with(step=("training=True, which has dropout", lambda given: given["training"]))
    def backward(
        self,
        batch: Batch,
        *,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        training: bool = True,
        step: int | None = None,
        accumulate: bool = False,
        scale: float = 1.0,
        observe: bool = False,
        checkpoint_activations: bool | int = False,
    ) -> Loss:
        """Forward and backward pass: fills `gradients` with those of the mean loss.

        Parameters
        ----------
        batch : Batch
        label_smoothing, z_loss, training, step
            As for `loss`; dropout is on by default, with other masks every time.
        accumulate : bool
            Add to the gradients instead of replacing them.
        scale : float
            Factor on the loss whose gradient is taken; the loss that is returned is without it.
        observe : bool
            Record the norms of the gradients between sub-layers and the variances, see `analysis.gradients`.
        checkpoint_activations : bool or int
            Keep only the inputs of segments of so many layers (True: about as many as there are segments)
            and run a segment's forward pass again before its backward pass: about a third more time for much
            less memory, and the same bits. See `plan_memory`.

        Returns
        -------
        Loss

        Notes
        -----
        A signal's handler that raises, as Ctrl-C's does, ends the pass between two sub-layers. The weights
        are as before, and all gradients are zero: with ``accumulate=True`` what earlier passes had added up,
        too. If the signal comes just before or after the pass, the gradients are those from before it, or all
        of its own. So a sum that was interrupted begins anew, with ``accumulate=False``. Errors in the
        arguments leave the gradients alone.
        """
        self._need_decoder()
        with self._numbered(step, training=training) as number:
            loss = self._core.backward(
                self._batch(batch),
                label_smoothing=label_smoothing,
                z_loss=z_loss,
                training=training,
                step=number,
                accumulate=accumulate,
                scale=scale,
                observe=observe,
                segment_layers=check_segments("checkpoint_activations", checkpoint_activations),
                ready=self._ready,
            )
        return Loss(*loss)

    @goes_with(
        step=("training=True, which has dropout", lambda given: given["training"]),
        label_smoothing=("gradients that are kept", lambda given: len(given["gradients"]) > 0),
        z_loss=("gradients that are kept", lambda given: len(given["gradients"]) > 0),
    )
    def observe(
        self,
        batch: Batch,
        *,
        activations: str | Sequence[str] = "*",
        gradients: str | Sequence[str] = (),
        training: bool = False,
        step: int = 0,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
    ) -> Observation:
        """One pass with named activations, their gradients and the variances of every sub-layer.

        Parameters
        ----------
        batch : Batch
        activations : str or list of str
            Patterns of the names to keep, such as ``"decoder.*.branch"``; an empty list keeps none.
        gradients : str or list of str
            Patterns of the names whose gradients of the loss are kept: stacks' inputs, sub-layers' inputs,
            branches and outputs, logits. `Transformer.gradients` stay as they are.
        training, step, label_smoothing, z_loss
            As for `loss`, but the step is 0 unless it is given: what is looked at twice is the same.

        Returns
        -------
        Observation

        Examples
        --------
        >>> config = TransformerConfig(
        ...     vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2, d_ff=16
        ... )
        >>> seen = Transformer(config).observe(Batch([[4, 5, 6]]))
        >>> list(seen)[:6]
        ['encoder.input', 'encoder.0.self_attn.input', 'encoder.0.self_attn.normed',
         'encoder.0.self_attn.probabilities', 'encoder.0.self_attn.branch', 'encoder.0.self_attn.sum']
        >>> seen["encoder.input"].shape
        (3, 8)
        """
        return observe(
            self._core,
            self.config,
            batch,
            self._batch(batch),
            activations=activations,
            gradients=gradients,
            spare=lambda: self.copy()._core,
            training=training,
            step=step,
            label_smoothing=label_smoothing,
            z_loss=z_loss,
            seed=self.seed,
        )

    def decoder(self, batch: Batch | None = None, *, bos: int = 1) -> Decoder:
        """Hypotheses that grow by a token at a time, for a search of one's own.

        Parameters
        ----------
        batch : Batch, optional
            An encoder-decoder's sources, and as targets what translations begin with (by default `bos` each);
            a language model's prompts.
        bos : int
            What translations begin with.

        Raises
        ------
        ValueError, IndexError
            If the model is an encoder, or cannot read the batch.

        See Also
        --------
        admin_py.generation.beam_search : the search that most people want.
        """
        return Decoder(self, batch, bos=bos)

    def reparameterise(self) -> Transformer:
        """A plain Post-LN model that computes the same function, with omega folded into other weights.

        See Also
        --------
        admin_py.model.folding.fold : how, and which models allow it.
        """
        config, arrays = fold(self.config, self.parameters)
        with undrawn():
            plain = Transformer(config, seed=self.seed, dtype=self.dtype)
        try:
            plain.load_state({name: arrays[name] for name in plain.parameters})
        except ValueError as error:
            raise ValueError(f"the model cannot be folded: {error}") from None
        plain.step = self.step
        plain.vocabulary = self.vocabulary
        return plain

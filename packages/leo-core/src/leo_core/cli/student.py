"""``leo student``: train a student on a store's verified pairs, and see how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leo_core.cli.export import Personal
from leo_core.cli.gaps import open_readable
from leo_core.cli.output import AsJson, make_table, out, print_json, report_errors, show_progress
from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.engine.verified_pairs import VerifiedPair
    from leo_core.stages.student.fit import Examples
    from leo_core.stages.student.taught import Taught

__all__ = ["app"]

app = typer.Typer(help="Students: classifiers of questions, trained on verified answers.", no_args_is_help=True)

StoreArgument = Annotated[Path, typer.Argument(help="The store (a SQLite file).")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant.")]
Embedder = Annotated[str, typer.Option(help="Name of the embedder.")]
TeacherCost = Annotated[
    float | None,
    typer.Option(help="Cost of the teacher's answer in US dollars; by default the mean of the store's.", min=0.0),
]
Near = Annotated[
    float,
    typer.Option(help="Cosine from which questions with one answer are one example; 1 keeps all.", min=0.0, max=1.0),
]
Loss = Annotated[float | None, typer.Option(help="Loss of a wrong answer in US dollars.", min=0.0)]
SealKeyFile = Annotated[
    Path | None, typer.Option(help="File of the key that entries are sealed with; by default beside the store.")
]


@app.callback()
def student() -> None:
    """Students: classifiers of questions, trained on verified answers."""


@app.command()
def train(
    store: StoreArgument,
    file: Annotated[Path, typer.Argument(metavar="OUT", help="File to write (mode 0600).")],
    tenant: Tenant = None,
    least_examples: Annotated[int, typer.Option(help="Examples that an answer needs.", min=2)] = 3,
    least_probability: Annotated[float, typer.Option(help="P(right) below which it abstains.", min=0.0, max=1.0)] = 0.8,
    neighbours: Annotated[int, typer.Option(help="Nearest examples that are asked.", min=1)] = 8,
    personal: Annotated[Personal, typer.Option(help="What becomes of personal data and secrets.")] = Personal.DROP,
    near: Near = 0.95,
    embedder: Embedder = "default",
    teacher_cost_usd: TeacherCost = None,
    loss_usd: Loss = None,
    seal_key: SealKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Train on answers that were audited right, or confirmed; a fifth of the questions is held out for the figures."""
    with report_errors(as_json=as_json), open_readable(store, seal_key, required=True) as kept:
        from leo_core.config import LEOConfig  # noqa: PLC0415 - the engine loads when it is used
        from leo_core.engine.teaching import save_student, teach  # noqa: PLC0415 - as above
        from leo_core.engine.verified_pairs import ExportTerms  # noqa: PLC0415 - as above
        from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - as above
        from leo_core.stages.student.config import StudentConfig  # noqa: PLC0415 - as above

        settings = StudentConfig(
            least_examples=least_examples, least_probability=least_probability, neighbours=neighbours
        )
        tenants = kept.tenants() if tenant is None else (tenant,)
        with show_progress(as_json=as_json) as progress:
            task = progress.add_task("reading", total=sum(kept.count_entries(name) for name in tenants))
            lesson = teach(
                kept,
                tenants,
                LEOConfig(),
                embedder=load_embedder(embedder),
                student=settings,
                terms=ExportTerms(personal=personal.value, near=near),
                progress=lambda seen: progress.update(task, completed=seen),
            )
        save_student(lesson, file)
        figures = _measure(lesson.taught, lesson.pairs, lesson.examples, teacher_cost_usd, loss_usd)
        if as_json:
            facts = {"file": str(file), "dropped": dict(lesson.dropped), "untaught": dict(lesson.untaught)}
            print_json(facts | {"tenants": figures})
            return
        out.print(f"{len(figures)} students in {file}")
        for name, why in lesson.untaught.items():
            out.print(f"{name}: none ({why})")
        _print(figures)


@app.command(name="eval")
def evaluate(
    file: Annotated[Path, typer.Argument(metavar="STUDENT", help="A student that was trained.")],
    store: StoreArgument,
    tenant: Tenant = None,
    near: Near = 0.95,
    teacher_cost_usd: TeacherCost = None,
    loss_usd: Loss = None,
    seal_key: SealKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """The figures of a student on a store's verified pairs that no training ever sees: every fifth question."""
    with report_errors(as_json=as_json), open_readable(store, seal_key, required=True) as kept:
        from leo_core.config import LEOConfig  # noqa: PLC0415 - the engine loads when it is used
        from leo_core.engine.teaching import make_examples  # noqa: PLC0415 - as above
        from leo_core.engine.verified_pairs import ExportTerms, export_pairs  # noqa: PLC0415 - as above
        from leo_core.providers.student import StudentModel  # noqa: PLC0415 - as above
        from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - as above

        taught = StudentModel.load(file).taught
        if tenant is not None and tenant not in taught.students:
            message = f"{file} holds no student of this tenant"
            raise ConfigError(message)
        encoder = load_embedder(taught.embedder.name, dimension=taught.embedder.dimension)
        pairs, examples = {}, {}
        for name in taught.students if tenant is None else (tenant,):
            pairs[name] = export_pairs(kept, (name,), ExportTerms(near=near), LEOConfig()).pairs
            examples[name] = make_examples(pairs[name], encoder)
        figures = _measure(taught, pairs, examples, teacher_cost_usd, loss_usd)
        if as_json:
            print_json({"tenants": figures})
            return
        _print(figures)


def _measure(
    taught: Taught,
    pairs: Mapping[str, Sequence[VerifiedPair]],
    examples: Mapping[str, Examples],
    teacher_cost_usd: float | None,
    loss_usd: float | None,
) -> dict[str, dict[str, Any]]:
    """Figures of each tenant's student on what was held out. The teacher is right there: the pairs are verified."""
    import numpy as np  # noqa: PLC0415 - a command loads what it needs

    from leo_core.evaluation.student_figures import Teacher, match_answers, measure_student  # noqa: PLC0415 - as above
    from leo_core.stages.route.config import RouteConfig  # noqa: PLC0415 - as above

    route = RouteConfig() if loss_usd is None else RouteConfig(loss_usd=loss_usd)
    figures = {}
    for name, kept in pairs.items():
        if name not in taught.students:
            continue
        held = examples[name].folds == 0
        asked = [(pair.question, pair.answer) for pair, out_ in zip(kept, held.tolist(), strict=True) if out_]
        costs = [pair.cost_usd for pair in kept if pair.cost_usd is not None]
        cost = teacher_cost_usd if teacher_cost_usd is not None else sum(costs) / len(costs) if costs else 0.0
        teacher = Teacher(cost_usd=cost, right=np.ones(len(asked), dtype=np.bool_), route=route)
        student_ = taught.students[name]
        figures[name] = measure_student(student_, examples[name].vectors[held], match_answers(student_, asked), teacher)
    return figures


def _print(figures: Mapping[str, Mapping[str, Any]]) -> None:
    for tenant, row in figures.items():
        table = make_table("held out", "share", "95 % interval", title=tenant)
        for rule, share in row["accuracy"].items():
            table.add_row(f"{_NAMES[rule]}: right", *_spell(share))
        table.add_row("student: answered", *_spell(row["coverage"]))
        table.add_row("student: right where answered", *_spell(row["answered_accuracy"]))
        out.print(table)
        out.print(
            f"{row['examples']} examples of {row['answers']} answers; {row['questions']} questions held out, "
            f"{row['taught']} with a taught answer"
        )
        if row["calibration_error"] is not None:
            out.print(f"P(right): calibration error {row['calibration_error']:.3f}, Brier {row['brier']:.3f}")
        utility = row["utility"]
        if utility["gain"] is not None:
            low, high = utility["gain_interval"]
            out.print(
                f"utility: {utility['student']:.4f}, teacher {utility['teacher']:.4f}; gain {utility['gain']:+.4f} "
                f"({low:+.4f} to {high:+.4f}) at ${row['teacher_cost_usd']:g} an answer, loss ${row['loss_usd']:g}"
            )


_NAMES = {
    "majority": "always the most frequent answer",
    "neighbours": "nearest examples alone",
    "linear": "linear model alone",
    "both": "both, always answering",
}


def _spell(share: Mapping[str, Any]) -> tuple[str, str]:
    if share["share"] is None:
        return "none", ""
    low, high = share["interval"]
    return f"{share['share']:.1%}", f"{low:.1%} to {high:.1%}"

"""Does it cite the articles that answer, and those first?"""

from __future__ import annotations

from collections.abc import Sequence

from ragbot.evaluation.metrics.scoring import Score, mean_score, share_score
from ragbot.evaluation.outcomes import AnswersOutcome


def cited_articles(outcome: AnswersOutcome) -> list[str]:
    """The articles of an answer's statements in the order of citing, each once; what a caution points to is no evidence."""
    if outcome.answer is None:
        return []
    by_number = {citation.number: citation.article for citation in outcome.answer.citations}
    return list(dict.fromkeys(by_number[number] for statement in outcome.answer.statements for number in statement.citations))


def score_citing(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """Right article first (over all answerable questions, and over those answered), citation precision and recall."""
    wanted = [one for one in outcomes if one.item.answerable and one.item.must_cite and one.answer is not None]
    pairs = [(cited_articles(one), set(one.item.must_cite)) for one in wanted]
    cited = [(articles, right) for articles, right in pairs if articles]
    first = [articles[0] in right for articles, right in cited]
    precision = [len(set(articles) & right) / len(articles) for articles, right in cited]
    recall = [len(set(articles) & right) / len(right) for articles, right in cited]
    return [
        share_score("right article first", first, "Answers whose first citation is of a wanted article; abstentions are left out."),
        share_score(
            "right article first, of all",
            [bool(articles) and articles[0] in right for articles, right in pairs],
            "The same over all answerable questions; an abstention counts as wrong.",
        ),
        mean_score("citation precision", precision, "Share of the cited articles that are wanted; abstentions are left out."),
        mean_score("citation recall", recall, "Share of the wanted articles that are cited; abstentions are left out."),
    ]

"""MovieLens, as `ml-latest-small` and `ml-latest` are laid out: who rated which film, when and how.

Source: F. M. Harper and J. A. Konstan, "The MovieLens Datasets", ACM TiiS 5(4), 2015.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from graphmatch.click_features import Feature, Splitting, Statistic
from graphmatch.click_log import ClickLog, file_log
from graphmatch.click_schema import ClickSchema
from graphmatch.click_tables import check_columns, column_names, read_table
from graphmatch.errors import FormatError

_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_NO_GENRE = "(no genres listed)"


def movielens_schema(*, user: bool = False) -> ClickSchema:
    """Ratings as clicks: 4 and more is one; the rating of earlier films is the behaviour's type.

    Each user's first 80 % of ratings are for training, the last 10 % for testing. Ratings of one
    second follow each other by the film's number.

    Args:
        user: the user is a feature of the sample, too.

    Returns:
        The schema: `ids` are film and year of release in buckets, `title` ten words, `genres` a
        vector, `stat` the number of training ratings and of tags.
    """
    return ClickSchema(
        user="userId",
        item="movieId",
        time="timestamp",
        label="rating",
        label_from=4.0,
        order="movieId",
        splitting=Splitting(by="user", train=0.8, test=0.9),
        items=(
            Feature(name="movie", kind="ids", column="movieId", modality="ids"),
            Feature(name="year", kind="buckets", modality="ids"),
            Feature(name="title", kind="words", length=10),
            Feature(name="genres", kind="labels", separator="|"),
            Feature(name="tags", kind="buckets", modality="stat"),
        ),
        properties=(Feature(name="type", kind="buckets", column="rating", edges=(3.0, 4.0)),),
        context=(Feature(name="user", kind="ids", column="userId"),) if user else (),
        statistics=(Statistic(name="ratings", of="count", over="train", modality="stat"),),
    )


def read_movielens(folder: str | Path, *, schema: ClickSchema | None = None) -> ClickLog:
    """MovieLens' ratings, titles, genres and tags.

    Args:
        folder: has `ratings.csv` and `movies.csv`, perhaps `tags.csv`.
        schema: what to make of them: columns of `ratings.csv` for the log; `movieId`, `title` (the
            year left out), `year`, `genres` and `tags` (how many) for the films. Without, that of
            `movielens_schema`.

    Returns:
        The log. Tags are counted over all the time that the files cover; they do not tell ratings.

    Raises:
        FormatError: a file is missing or damaged.
        ConfigError: a column is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError(f"{folder}: expected a folder with ratings.csv and movies.csv")
    movies, tags = folder / "movies.csv", folder / "tags.csv"
    table = read_movies(movies, tags if tags.is_file() else None)
    log = file_log(schema or movielens_schema(), folder / "ratings.csv", table=table)
    sources = (*log.sources, movies, *([tags] if tags.is_file() else []))
    return ClickLog(schema=log.schema, read=log.read, items=table, sources=sources)


def read_movies(movies: str | Path, tags: str | Path | None = None) -> Any:
    """The films.

    Args:
        movies: `movies.csv`.
        tags: `tags.csv`.

    Returns:
        Arrow table of `movieId`, `title`, `year`, `genres` and `tags`; the year is missing where
        the title does not end with one (13 films of `ml-latest-small`).

    Raises:
        FormatError: a file is missing or damaged.
        ConfigError: a column is missing.
    """
    wanted = ["movieId", "title", "genres"]
    check_columns(movies, wanted, column_names(movies))
    table = read_table(movies, wanted)
    counts: Counter[str] = Counter()
    if tags is not None:
        check_columns(tags, ["movieId"], column_names(tags))
        counts.update(read_table(tags, ["movieId"])["movieId"].to_pylist())
    titles = [title or "" for title in table["title"].to_pylist()]
    years = [_YEAR.search(title) for title in titles]
    genres = [None if genre == _NO_GENRE else genre for genre in table["genres"].to_pylist()]
    return pa.table(
        {
            "movieId": table["movieId"],
            "title": pa.array([_YEAR.sub("", title) for title in titles], pa.string()),
            "year": pa.array([float(y[1]) if y else None for y in years], pa.float64()),
            "genres": pa.array(genres, pa.string()),
            "tags": pa.array([counts[key] for key in table["movieId"].to_pylist()], pa.int64()),
        }
    )

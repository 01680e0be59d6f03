"""Writes the dataset files that tests of reading datasets read.

    python tools/parquet-fixtures.py runtime/node/fixtures

Needs pyarrow, duckdb, polars and zstandard (written with 26.0.1, 2.0.0, 2.1.0 and 0.25.0). Every
WRITER.parquet holds the rows of rows.jsonl; together they use all the codecs and encodings that are
read, several pages and row groups, and pages of both versions.
"""

import json
import pathlib
import random
import sys

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

ROWS = 24
WORDS = ["", "plain", 'a "quoted" \\ one', "two\nlines\tand\u0001", "日本", "😀", "plain"]

SCHEMA = pa.schema(
    [
        ("input", pa.string()),
        ("output", pa.string()),
        ("small", pa.int32()),
        ("large", pa.int64()),
        ("unsigned", pa.uint64()),
        ("byte", pa.uint8()),
        ("single", pa.float32()),
        ("double", pa.float64()),
        ("yes", pa.bool_()),
        ("tags", pa.list_(pa.string())),
        ("table", pa.list_(pa.list_(pa.int32()))),
        ("meta", pa.struct([("a", pa.string()), ("b", pa.struct([("c", pa.list_(pa.int32()))]))])),
        ("turns", pa.list_(pa.struct([("role", pa.string()), ("text", pa.string())]))),
    ]
)


def rows():
    rng = random.Random(1)

    def maybe(value):
        return None if rng.random() < 0.25 else value()

    def word():
        return rng.choice(WORDS)

    def several(value):
        return [value() for _ in range(rng.randrange(4))]

    def turn():
        return {"role": rng.choice(["user", "bot"]), "text": maybe(word)}

    def meta():
        c = maybe(lambda: several(lambda: rng.randrange(9)))
        return {"a": maybe(word), "b": maybe(lambda: {"c": c})}

    return [
        {
            "input": f"row {index} {word()}",
            "output": maybe(word),
            "small": maybe(lambda: rng.randrange(-(2**31), 2**31)),
            "large": rng.randrange(-(2**63), 2**63),
            "unsigned": rng.randrange(2**63, 2**64),
            "byte": rng.randrange(256),
            "single": maybe(lambda: rng.randrange(100) / 8),
            "double": rng.random() * 10.0 ** rng.randrange(-9, 9),
            "yes": maybe(lambda: rng.random() < 0.5),
            "tags": maybe(lambda: several(lambda: maybe(word))),
            "table": maybe(
                lambda: several(lambda: maybe(lambda: several(lambda: rng.randrange(9))))
            ),
            "meta": maybe(meta),
            "turns": maybe(lambda: several(lambda: maybe(turn))),
        }
        for index in range(ROWS)
    ]


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    data = rows()
    table = pa.Table.from_pylist(data, schema=SCHEMA)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in data).encode()
    (folder / "rows.jsonl").write_bytes(lines)
    with_sum = zstandard.ZstdCompressor(write_checksum=True, level=19)
    (folder / "rows.jsonl.zst").write_bytes(with_sum.compress(lines))

    common = dict(write_statistics=False, store_schema=False)
    pq.write_table(
        table,
        folder / "pyarrow-1.parquet",
        compression={"input": "none", "output": "gzip", "large": "snappy"},
        data_page_version="1.0",
        data_page_size=40,
        row_group_size=10,
        use_compliant_nested_type=False,
        **common,
    )
    encodings = {
        "input": "DELTA_BYTE_ARRAY",
        "output": "DELTA_LENGTH_BYTE_ARRAY",
        "small": "DELTA_BINARY_PACKED",
        "large": "DELTA_BINARY_PACKED",
        "unsigned": "BYTE_STREAM_SPLIT",
        "single": "BYTE_STREAM_SPLIT",
        "yes": "RLE",
    }
    pq.write_table(
        table,
        folder / "pyarrow-2.parquet",
        compression="gzip",
        data_page_version="2.0",
        use_dictionary=False,
        column_encoding=encodings,
        write_page_checksum=True,
        **common,
    )
    duckdb.register("data", table)
    for version, codec in [("V1", "snappy"), ("V2", "zstd")]:
        file = folder / f"duckdb-{version.lower()}.parquet"
        options = f"format parquet, compression '{codec}', parquet_version '{version}'"
        duckdb.execute(f"copy data to '{file}' ({options})")
    polars.from_arrow(table).write_parquet(
        folder / "polars.parquet", compression="zstd", statistics=False
    )


main()

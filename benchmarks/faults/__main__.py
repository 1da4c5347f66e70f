"""Count what becomes of damaged files of every kind.

    python -m benchmarks.faults --inputs 30000 --tables 20000 --images 10000 --seed 0

prints three tables. Every format: inputs tried, read, refused with a sentence, and ended otherwise (an exception that
no user can act on: the aim is none). Text tables of known truth: how often a patient got another patient's value and
nobody said so (the aim is none). Images: how often other voxels were read although a checksum covers them (the aim is
none). The same seed makes the same inputs; ``--show`` prints the first of each kind.
"""

from __future__ import annotations

import argparse
import resource
import sys

from benchmarks.faults.formats import formats, try_formats
from benchmarks.faults.images import try_images
from benchmarks.faults.tables import try_tables


def main() -> int:
    """Print the tables; the status is 1 where something happened that must not."""
    parser = argparse.ArgumentParser(description="Damaged files: understood or refused in one sentence.")
    parser.add_argument("--inputs", type=int, default=2000, help="damaged files over all formats")
    parser.add_argument("--tables", type=int, default=2000, help="damaged text tables of known truth")
    parser.add_argument("--images", type=int, default=1000, help="damaged images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    by_format = try_formats(formats(), args.inputs, args.seed, show=args.show)
    print(by_format.to_string(index=False), end="\n\n")
    tables = try_tables(args.tables, args.seed, show=args.show)
    print(tables.to_string(index=False), end="\n\n")
    images = try_images(args.images, args.seed, show=args.show)
    print(images.to_string(index=False), end="\n\n")
    n_tried = sum(int(table["tried"].sum()) for table in (by_format, tables, images))
    n_tracebacks = int(by_format["tracebacks"].sum() + tables["traceback"].sum() + images["tracebacks"].sum())
    print(
        f"{n_tried} tried: {n_tracebacks} tracebacks, {tables['wrong'].sum()} patients in a wrong group without a word"
    )
    print(f"{images['wrong'].sum()} images read with other voxels in spite of a checksum")
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
    return int(bool(n_tracebacks or tables["wrong"].sum() or images["wrong"].sum()))


if __name__ == "__main__":
    sys.exit(main())

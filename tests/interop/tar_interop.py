"""Other tars judge what aipack writes, and write what aipack reads: tar_interop.py TAR_FIXTURE CASE."""

import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

SKIP = 77


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIP)


def require(program):
    if shutil.which(program) is None:
        skip(f"no {program} on this machine")


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
    if done.stderr and command[0] != FIXTURE:
        sys.exit(f"{command} complained:\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def members(listing):
    """The fixture's lines: {path: (type, mode, uid, gid, mtime, link, content)}, texts as bytes."""
    found = {}
    for line in listing.decode().splitlines():
        kind, path, mode, uid, gid, mtime, link, content = line.split(" ")
        text = lambda field: bytes.fromhex(field[1:])
        found[text(path)] = (kind, int(mode, 8), int(uid), int(gid), int(mtime), text(link), text(content))
    return found


def check_equal(actual, expected):
    if list(actual) != list(expected):
        sys.exit(f"other members, or another order:\n{list(actual)}\n{list(expected)}")
    for path, value in expected.items():
        if actual[path] != value:
            sys.exit(f"{path!r} differs:\n{actual[path]}\n{value}")
    if len(expected) < 5:
        sys.exit("too few members to prove anything")


def by_tarfile(path):
    """What Python's tarfile reads."""
    found = {}
    raw = lambda text: text.encode("utf-8", "surrogateescape")
    kinds = {tarfile.REGTYPE: "f", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h"}
    with tarfile.open(path, encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            kind = kinds[member.type]
            content = archive.extractfile(member).read() if kind == "f" else b""
            found[raw(member.name)] = (kind, member.mode, member.uid, member.gid, int(member.mtime),
                                       raw(member.linkname), content)
    return found


def check_extracted(root, expected):
    """What an unpacker made of the archive: types, contents, targets, permissions and shared inodes."""
    root = os.fsencode(root)
    for path, (kind, mode, _, _, mtime, link, content) in expected.items():
        place = os.path.join(root, path)
        info = os.lstat(place)
        if kind == "l":
            ok = stat.S_ISLNK(info.st_mode) and os.readlink(place) == link
        elif kind == "d":
            ok = stat.S_ISDIR(info.st_mode) and info.st_mode & 0o777 == mode & 0o777
        elif kind == "h":
            ok = info.st_ino == os.lstat(os.path.join(root, link)).st_ino
        else:
            with open(place, "rb") as file:
                ok = file.read() == content
            ok = ok and info.st_mode & 0o777 == mode & 0o777
            # What lies outside, a file system may not be able to hold (ext4: 1901 to 2446).
            ok = ok and (not 0 <= mtime < 2**32 or info.st_mtime_ns == mtime * 10**9)
        if not ok:
            sys.exit(f"{path!r} was not extracted as written: {info} instead of {expected[path]}")
    count = sum(len(names) + len(files) for _, names, files in os.walk(root))
    if count != len(expected) or count < 5:
        sys.exit(f"{count} things were extracted from {len(expected)} members")


def unpack_with(command, work, verb):
    archive = os.path.join(work, "a.tar")
    expected = members(run(FIXTURE, verb, archive))
    root = os.path.join(work, "root")
    os.mkdir(root)
    run(*command, "-xpf", archive, "-C", root, env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"})
    check_extracted(root, expected)


def make_tree(root):
    """Files as a packer finds them, long and odd names among them."""
    deep = os.path.join(root, *["directory-with-a-long-name"] * 7)
    os.makedirs(deep)
    for path, content in {"plain": b"hello", "empty": b"", "block": b"b" * 512, "spa ce\n": b"x",
                          "ünï": b"y" * 513, "n" * 200: b"long"}.items():
        for directory in (root, deep):
            with open(os.path.join(directory, path), "wb") as file:
                file.write(content)
    os.symlink("../plain", os.path.join(deep, "link"))
    os.symlink("t" * 180, os.path.join(root, "long-target"))
    os.link(os.path.join(root, "plain"), os.path.join(root, "second-name"))
    os.chmod(os.path.join(root, "plain"), 0o4755)
    for directory, names, files in os.walk(root):
        for name in names + files:
            os.utime(os.path.join(directory, name), (1_700_000_000.25, 1_700_000_000.25), follow_symlinks=False)


def check_read(archive):
    listed = members(run(FIXTURE, "list", archive))
    listed.pop(b"", None)  # "./": tarfile calls it "."
    expected = by_tarfile(archive)
    check_equal(listed, {path.removeprefix(b"./"): (*value[:5], value[5].removeprefix(b"./") if value[0] == "h" else value[5], value[6])
                         for path, value in expected.items() if path != b"."})
    if b"second-name" not in listed and not any(v[0] == "l" for v in listed.values()):
        sys.exit("the archive misses what it should show")


def pack_with(command, formats, work):
    root = os.path.join(work, "root")
    os.mkdir(root)
    make_tree(root)
    for name in formats:
        archive = os.path.join(work, f"{name}.tar")
        names = ["."]
        if name == "ustar":  # cannot hold the long names
            names = ["plain", "empty", "block", "second-name", "spa ce\n", "ünï"]
        run(*command, f"--format={name}", "-cf", archive, "-C", root, *names, env={**os.environ, "LC_ALL": "C.UTF-8"})
        check_read(archive)


def pack_with_tarfile(work):
    for number in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        archive = os.path.join(work, f"{number}.tar")
        with tarfile.open(archive, "w", format=number) as out:
            def add(name, content=b"", **fields):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(content), 1_700_000_000
                for key, value in fields.items():
                    setattr(info, key, value)
                out.addfile(info, io.BytesIO(content))
            add("d", type=tarfile.DIRTYPE, mode=0o755)
            add("d/f", b"hello", mode=0o644, uname="root")
            add("d/h", type=tarfile.LNKTYPE, linkname="d/f")
            add("d/s", type=tarfile.SYMTYPE, linkname="/etc/passwd")
            add("p" * 60 + "/" + "q" * 99, b"prefix")
            if number != tarfile.USTAR_FORMAT:
                add("x" * 250 + "/" + "y" * 250, b"long", uid=3_000_000_000)
                add("ü", type=tarfile.SYMTYPE, linkname="z" * 500, mtime=-7)
        check_read(archive)


def main(work):
    if CASE == "tarfile_reads":
        for verb in ("write", "write-aligned"):
            archive = os.path.join(work, f"{verb}.tar")
            expected = members(run(FIXTURE, verb, archive))
            check_equal(by_tarfile(archive), expected)
            check_equal(members(run(FIXTURE, "list", archive)), expected)
    elif CASE == "tarfile_writes":
        pack_with_tarfile(work)
    elif CASE in ("gnu_tar_unpacks", "gnu_tar_unpacks_aligned"):
        require("tar")
        # Times before 1970 are the point, not a reason to warn.
        command = ["tar", "--no-same-owner", "--warning=no-timestamp"]
        unpack_with(command, work, "write-aligned" if CASE.endswith("aligned") else "write")
    elif CASE == "gnu_tar_packs":
        require("tar")
        pack_with(["tar"], ["gnu", "pax", "ustar"], work)
    elif CASE == "bsdtar_unpacks":
        require("bsdtar")
        # -P: it would strip a leading backslash, as if it were a Windows path.
        unpack_with(["bsdtar", "-P", "--no-same-owner"], work, "write")
    elif CASE == "bsdtar_packs":
        require("bsdtar")
        pack_with(["bsdtar"], ["gnutar", "pax", "ustar"], work)
    else:
        sys.exit(f"no case {CASE}")


FIXTURE, CASE = sys.argv[1:]
with tempfile.TemporaryDirectory() as directory:
    main(directory)

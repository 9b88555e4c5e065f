#!/usr/bin/python3
"""Compare what whittle and buildah made of each case of the conformance tests; see lib.sh of this folder.

usage: judge.py SCRATCH STORAGE "USER..." CASE...

Prints a line per result: ok or not ok, a tab, what was judged, a tab, the difference with its line ends as \\n.
whittle's images are read from OCI layouts, buildah's from its storage (overlay), without any container tool.
"""

import base64
import difflib
import functools
import json
import os
import re
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures"))
import image  # noqa: E402

CONTEXT_TIME = 1500000000
FIELDS = ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
          "Healthcheck", "OnBuild", "Shell"]
# buildah's chroot isolation leaves traces in these, and what a step finds there is no part of its layer
NOT_COMPARED = re.compile(r"/(run|dev|proc|sys|etc/(resolv\.conf|hosts|hostname))(/|$)")


class FileNode:
    """An entry of buildah's storage, with the attributes of image.Node."""

    def __init__(self, path, st):
        self.mode = stat.S_IMODE(st.st_mode)
        self.owner = "%d:%d" % (st.st_uid, st.st_gid)
        self.mtime = int(st.st_mtime)
        self.content, self.detail, self.xattrs = None, "", []
        for name in sorted(os.listxattr(path, follow_symlinks=False)):
            if not name.startswith("trusted.overlay."):
                value = os.getxattr(path, name, follow_symlinks=False)
                self.xattrs.append(("SCHILY.xattr." + name, value.decode("utf-8", "surrogateescape")))
        if stat.S_ISDIR(st.st_mode):
            self.kind = "dir"
        elif stat.S_ISLNK(st.st_mode):
            self.kind, self.detail = "link", "-> " + os.readlink(path)
        elif stat.S_ISREG(st.st_mode):
            self.kind = "file"
            with open(path, "rb") as f:
                self.content = f.read()
        elif stat.S_ISFIFO(st.st_mode):
            self.kind = "fifo"
        else:
            self.kind, self.detail = "dev", "%d,%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))


@functools.lru_cache(maxsize=4)
def folder_entries(folder):
    """[(path, node or None for a whiteout, opaque)] of one layer of the storage."""
    entries, inodes = [], {}
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(base, name)
            st = os.lstat(path)
            inside = path[len(folder):]
            if stat.S_ISCHR(st.st_mode) and st.st_rdev == 0:
                entries.append((inside, None, False))
                continue
            opaque = stat.S_ISDIR(st.st_mode) and "trusted.overlay.opaque" in os.listxattr(path)
            if st.st_ino not in inodes or stat.S_ISDIR(st.st_mode):
                inodes[st.st_ino] = FileNode(path, st)
            entries.append((inside, inodes[st.st_ino], opaque))
    return entries


class Storage:
    def __init__(self, root):
        self.root = root
        with open(os.path.join(root, "overlay-images", "images.json")) as f:
            self.images = {name: i for i in json.load(f) for name in i.get("names") or []}
        with open(os.path.join(root, "overlay-layers", "layers.json")) as f:
            self.parents = {layer["id"]: layer.get("parent", "") for layer in json.load(f)}

    def config(self, name):
        found = self.images["localhost/%s:1" % name]
        key = base64.b64encode(("sha256:" + found["id"]).encode()).decode()
        with open(os.path.join(self.root, "overlay-images", found["id"], "=" + key)) as f:
            return json.load(f)

    def tree(self, name):
        chain, layer = [], self.images["localhost/%s:1" % name].get("layer", "")
        while layer:
            chain.insert(0, os.path.join(self.root, "overlay", layer, "diff"))
            layer = self.parents[layer]
        tree = {}
        for folder in chain:
            for path, node, opaque in folder_entries(folder):
                if node is None or opaque or node.kind != "dir":
                    image.remove(tree, path, node is None)
                if node is not None:
                    tree[path] = node
        return tree


def path_text(path):
    return path if re.fullmatch(r'[^\s"\x00-\x1f\x7f\ud800-\udfff]+', path) else json.dumps(path)


def content_text(content):
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and len(text) <= 400 and (text.isprintable() or all(c.isprintable() or c in "\n\t\r" for c in text)):
        return json.dumps(text, ensure_ascii=False)
    return "%d bytes sha256:%s" % (len(content), image.hashlib.sha256(content).hexdigest()[:20])


def tree_lines(tree, began, folder_times):
    """{path: line} of a root file system."""
    lines, first = {}, {}
    for path in sorted(tree):
        node = tree[path]
        if path == "/" or NOT_COMPARED.match(path):
            continue
        words = [node.kind]
        if node.kind != "link":
            words.append("%04o" % node.mode)
        words += [node.owner, content_text(node.content) if node.kind == "file" else node.detail]
        words += ["%s=%s" % (k[len("SCHILY.xattr."):], json.dumps(v)) for k, v in node.xattrs]
        if node.mtime < began and (node.kind != "dir" or folder_times):
            words.append("@context" if node.mtime == CONTEXT_TIME else "@%d" % node.mtime)
        if id(node) in first:
            words.append("= " + path_text(first[id(node)]))
        first.setdefault(id(node), path)
        lines[path] = " ".join([path_text(path)] + [w for w in words if w])
    return lines


def config_lines(config):
    values = dict(config.get("config") or {})
    values = {k: values.get(k) for k in FIELDS}
    values["author"] = config.get("author")
    values["platform"] = "/".join(config.get(k) or "" for k in ("os", "architecture", "variant")).rstrip("/")
    if values["WorkingDir"] == "/":
        values["WorkingDir"] = None
    lines = {}
    for key, value in values.items():
        if value not in (None, "", [], {}):
            lines["." + key] = "." + key + " " + json.dumps(value, sort_keys=True, ensure_ascii=False)
    return lines


def hand_lines(path):
    """The lines of an expectation as {path or field: line, or None where it must not be}."""
    lines = {}
    with open(path) as f:
        for line in f.read().splitlines():
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            gone = line.startswith("!")
            text = line[1:] if gone else line
            key = json.JSONDecoder().raw_decode(text)[0] if text.startswith('"') else text.split(" ", 1)[0]
            if key.startswith(".") and not gone:
                value = json.loads(text.split(" ", 1)[1])
                line = key + " " + json.dumps(value, sort_keys=True, ensure_ascii=False)
                gone = value in (None, "", [], {})
            lines[key] = None if gone else line
    return lines


def history_lines(config, base):
    entries = (config.get("history") or [])[len(base):]
    return [("empty " if h.get("empty_layer") else "layer ") + h.get("created_by", "") for h in entries]


class Judge:
    def __init__(self, scratch, storage, users):
        self.scratch, self.users = scratch, users
        self.cases = os.path.join(scratch, "cases")
        self.began = int(os.stat(os.path.join(self.cases, "began")).st_mtime)
        self.storage = Storage(storage)
        self.base_manifest, self.base = image.find_manifest(os.path.join(scratch, users[0], "out", "base"), None)
        self.base_tree = image.flatten(os.path.join(scratch, users[0], "out", "base"), self.base_manifest, self.base)

    def say(self, good, what, detail=""):
        detail = detail.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", " ")
        print("%s\t%s\t%s" % ("ok" if good else "not ok", what, detail))

    def read(self, case, name):
        try:
            with open(os.path.join(self.cases, case, name), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def same(self, what, wanted, got, why):
        if wanted == got:
            return self.say(True, what)
        keys = sorted(k for k in set(wanted) | set(got) if wanted.get(k) != got.get(k))
        text = ["by hand, " + why.strip()] if why else []
        for key in keys[:30]:
            text += ["wanted: %s" % wanted.get(key, "no " + key), "got:    %s" % got.get(key, "no " + key)]
        self.say(False, what, "\n".join(text))

    def log(self, case, who):
        return "\n".join((self.read(case, who + ".log") or "").splitlines()[-12:])

    def refusal(self, case, about, pattern):
        for user in self.users:
            status, text = self.read(case, user + ".status").strip(), self.read(case, user + ".log")
            good = status not in ("0", "124", "137") and re.search(pattern.strip(), text)
            self.say(good, "%s: %s: whittle refuses it (%s)" % (case, about, user),
                     "status %s, wanted a message like %s\n%s" % (status, pattern, text[-1500:]))
        theirs = self.read(case, "theirs.status")
        if theirs is not None:
            self.say(theirs.strip() != "0", "%s: buildah refuses it too" % case, "buildah builds it")

    def image_of(self, case, user):
        layout = os.path.join(self.scratch, user, "out", case)
        manifest, config = image.find_manifest(layout, None)
        return manifest, config, image.flatten(layout, manifest, config)

    def wanted(self, case, config, folder_times):
        """The tree and the config that the case shall have."""
        by_hand = hand_lines(os.path.join(self.cases, case, "expected" if self.read(case, "expected") is not None
                                          else "except")) if self.read(case, "why") else {}
        if self.read(case, "expected") is not None:
            on_base = self.base["rootfs"]["diff_ids"][:1] == (config["rootfs"]["diff_ids"] or [])[:1]
            tree = tree_lines(self.base_tree, self.began, folder_times) if on_base else {}
            fields = config_lines(self.base if on_base else
                                  {"config": {"Env": self.base["config"]["Env"]},
                                   "os": "linux", "architecture": self.base["architecture"],
                                   "variant": self.base.get("variant")})
        else:
            tree = tree_lines(self.storage.tree(case), self.began, folder_times)
            fields = config_lines(self.storage.config(case))
        for key, line in by_hand.items():
            target = fields if key.startswith(".") else tree
            if line is None:
                target.pop(key, None)
            else:
                target[key] = line
        return tree, fields

    def case(self, case):
        about = self.read(case, "about").strip()
        pattern = self.read(case, "refused")
        if pattern is not None:
            return self.refusal(case, about, pattern)
        for who in self.users + ["theirs"]:
            status = self.read(case, who + ".status")
            if status is not None and status.strip() != "0":
                return self.say(False, "%s: %s: built (%s)" % (case, about, who), self.log(case, who))
        folder_times = self.read(case, "folder_times") is not None
        manifest, config, tree = self.image_of(case, self.users[0])
        wanted_tree, wanted_fields = self.wanted(case, config, folder_times)
        mine = tree_lines(tree, self.began, folder_times)
        why = self.read(case, "why") or ""
        self.same("%s: %s" % (case, about), wanted_tree, mine, why)
        self.same("%s: config" % case, wanted_fields, config_lines(config), why)
        for user in self.users[1:] if self.read(case, "by_first_user") is None else []:
            _, other_config, other = self.image_of(case, user)
            lines = tree_lines(other, self.began, folder_times)
            lines.update(config_lines(other_config))
            self.same("%s: the same made by %s" % (case, user), {**mine, **config_lines(config)}, lines, "")
        self.history(case, manifest, config)

    def history(self, case, manifest, config):
        entries = config.get("history") or []
        layers = sum(1 for h in entries if not h.get("empty_layer"))
        if layers != len(manifest["layers"]):
            self.say(False, case + ": a layer for each entry of history that is not empty",
                     "%d layers: %s" % (len(manifest["layers"]), json.dumps(entries)))
        wanted = self.read(case, "history")
        if wanted is not None:
            base = self.base.get("history") or []
            got = history_lines(config, base if entries[:len(base)] == base else [])
            difference = "\n".join(difflib.unified_diff(wanted.splitlines(), got, "wanted", "got", lineterm="", n=9))
            self.say(not difference, case + ": history", difference)


def main(arguments):
    judge = Judge(arguments[0], arguments[1], arguments[2].split())
    for case in arguments[3:]:
        judge.case(case)


main(sys.argv[1:])

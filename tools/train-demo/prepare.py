"""Collect the demo model's text from Debian packages and train its tokenizer.

usage: prepare.py WORKDIR

Fetches the packages below with `apt-get download`, unpacks them with `dpkg -x`
(nothing is installed), keeps the running English prose (paragraphs and headings;
no listings, tables or navigation) and writes to WORKDIR:

  train.jsonl, held.jsonl   one document a line: {"source", "name", "text"}
  tokenizer.json            byte-level BPE in the shape of Llama 3's, 4,096 ids
  bible.bin, manuals.bin, held.bin
                            token ids, uint16, <|bos|> text <|eos|> per document
  sources.json              package, version, licence, bytes of text used
"""
import glob, hashlib, html.parser, json, os, re, subprocess, sys

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

VOCAB = 4096
# Llama 3's split pattern.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

# package: (licence as its copyright file states it, HTML pages with the text)
PAGES = {
    "debian-handbook": ("GPL-2.0-or-later or CC-BY-SA-3.0", "usr/share/doc/debian-handbook/html/en-US/*.html"),
    "debian-policy": ("GPL-2.0-or-later", "usr/share/doc/debian-policy/policy.html/*.html"),
    "debian-reference-en": ("GPL-2.0-or-later", "usr/share/debian-reference/*.en.html"),
    "developers-reference": ("GPL-2.0-or-later", "usr/share/developers-reference/*.html"),
    "debian-faq": ("verbatim and modified copies under the same terms; see the package's copyright file",
                   "usr/share/doc/debian/FAQ/*.en.html"),
    "maint-guide": ("GPL-2.0-or-later", "usr/share/doc/maint-guide/html/*.en.html"),
    "harden-doc": ("GPL-2.0-or-later", "usr/share/doc/harden-doc/html/en-US/*.html"),
    "installation-guide-amd64": ("GPL-2.0", "usr/share/doc/installation-guide-amd64/en/*.html"),
}
BIBLE = {"bible-kjv-text": "public domain (King James Version, 1611)", "bible-kjv": "GPL-2.0-or-later (reader program, only run)"}

# Never trained on: the first four become the demo's shared documents.
HELD = {("debian-handbook", "sect.debian-internals"), ("debian-policy", "ch-scope"), ("bible-kjv-text", "Jonah"),
        ("developers-reference", "developer-duties"),
        ("bible-kjv-text", "Ruth"), ("bible-kjv-text", "James"), ("debian-faq", "choosing.en"),
        ("harden-doc", "after-compromise"), ("installation-guide-amd64", "ch03s03"),
        ("debian-handbook", "sect.how-to-migrate")}

BOOKS = ("Genesis Exodus Leviticus Numbers Deuteronomy Joshua Judges Ruth 1_Samuel 2_Samuel 1_Kings 2_Kings "
         "1_Chronicles 2_Chronicles Ezra Nehemiah Esther Job Psalms Proverbs Ecclesiastes Song_of_Solomon Isaiah "
         "Jeremiah Lamentations Ezekiel Daniel Hosea Joel Amos Obadiah Jonah Micah Nahum Habakkuk Zephaniah Haggai "
         "Zechariah Malachi Matthew Mark Luke John Acts Romans 1_Corinthians 2_Corinthians Galatians Ephesians "
         "Philippians Colossians 1_Thessalonians 2_Thessalonians 1_Timothy 2_Timothy Titus Philemon Hebrews James "
         "1_Peter 2_Peter 1_John 2_John 3_John Jude Revelation").split()

ASCII = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": " - ",
                       "\u2026": "...", "\u00a0": " ", "\u2011": "-", "\u2192": "->"})


class Prose(html.parser.HTMLParser):
    """Headings and paragraphs of a page, in order, as (is_heading, text)."""
    SKIP_TAGS = {"head", "script", "style", "pre", "table", "nav", "form"}
    SKIP_CLASSES = {"navheader", "navfooter", "toc", "docnav", "sphinxsidebar", "related", "footer", "headerlink",
                    "toctree-wrapper", "footnote", "footnote-reference", "banner", "left", "right", "highlight", "index"}
    BLOCKS = {"p", "div", "li", "ul", "ol", "dl", "dt", "dd", "section", "blockquote", "br", "hr", "body"}
    HEADS = {"h1", "h2", "h3", "h4", "h5"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.blocks, self.text, self.head, self.skip, self.depth = [], [], False, None, 0

    def flush(self):
        t = " ".join("".join(self.text).translate(ASCII).split())
        if t:
            self.blocks.append((self.head, t))
        self.text, self.head = [], False

    def handle_starttag(self, tag, attrs):
        if self.skip:
            self.depth += tag == self.skip
            return
        a = dict(attrs)
        if tag in self.SKIP_TAGS or self.SKIP_CLASSES & set((a.get("class") or "").split()) or a.get("id") in ("banner", "title"):
            self.skip, self.depth = tag, 1
        elif tag in self.BLOCKS or tag in self.HEADS:
            self.flush()
            self.head = tag in self.HEADS

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if self.skip:
            self.depth -= tag == self.skip
            if self.depth == 0:
                self.skip = None
        elif tag in self.BLOCKS or tag in self.HEADS:
            self.flush()

    def handle_data(self, data):
        if not self.skip:
            self.text.append(data)


def page_text(path):
    """The prose of one page, or an empty string."""
    p = Prose()
    p.feed(open(path, encoding="utf-8", errors="replace").read())
    p.flush()
    out = []
    for head, t in p.blocks:
        t = re.sub(r"\s*\[\d+\]", "", t)
        if head:
            t = re.sub(r"^(Chapter|Appendix) \w+\.\s*|^[A-Z0-9]+(\.\d+)*\.\s*", "", t)
            if out and out[-1][0]:
                out.pop()           # a heading with nothing under it
            out.append((True, t))
        elif len(t) >= 40 and not re.match(r"(Figure|Table|Example) [A-Z0-9]+\.\d", t) and sum(c.isalpha() or c in " ,.'" for c in t) >= 0.93 * len(t):
            out.append((False, t))
    if out and out[-1][0]:
        out.pop()
    return "\n\n".join(t for _, t in out)


def bible(root):
    """One document a book: chapter headings, paragraphs of about five verses."""
    run = subprocess.run([f"{root}/bible-kjv/usr/bin/bible", "-p", f"{root}/bible-kjv-text/usr/lib", "-f", "Gen1:1-Rev22:21"],
                         check=True, capture_output=True, text=True)
    books, last = [], None
    for line in run.stdout.splitlines():
        m = re.match(r"(\d?\s?[A-Za-z ]+?)(\d+):(\d+)\s+(.*)", line)
        if not m:
            continue
        book, chapter, verse = m[1], int(m[2]), m[4].strip()
        if book != last:
            books.append([]); last = book; at = 0
        if chapter != at:
            at = chapter
            books[-1].append([f"{BOOKS[len(books) - 1].replace('_', ' ')}, chapter {chapter}"])
            books[-1].append([])
        elif len(books[-1][-1]) >= 5:
            books[-1].append([])
        books[-1][-1].append(verse)
    assert len(books) == 66, len(books)
    return [(n, "\n\n".join(" ".join(p) for p in b)) for n, b in zip(BOOKS, books)]


def main(work):
    debs, root = f"{work}/debs", f"{work}/unpacked"
    os.makedirs(debs, exist_ok=True)
    os.makedirs(root, exist_ok=True)
    names = [*BIBLE, *PAGES]
    missing = [n for n in names if not glob.glob(f"{debs}/{n}_*.deb")]
    if missing:
        subprocess.run(["apt-get", "download", "-q", *missing], cwd=debs, check=True)
    docs, sources = [], []
    for n in names:
        deb = glob.glob(f"{debs}/{n}_*.deb")[0]
        subprocess.run(["dpkg", "-x", deb, f"{root}/{n}"], check=True)
        version = subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True, capture_output=True, text=True).stdout.strip()
        if n in PAGES:
            licence, pattern = PAGES[n]
            found = [(os.path.basename(f)[:-5], page_text(f)) for f in sorted(glob.glob(f"{root}/{n}/{pattern}"))]
        else:
            licence, found = BIBLE[n], bible(root) if n == "bible-kjv" else []
        source = n if n in PAGES else "bible-kjv-text"
        found = [(name, t) for name, t in found if len(t) >= 400 and not re.search("ap-license$|^apf$|changelog|index$|genindex|search|upgrading-checklist|developers-reference$|debian-reference.en$", name)]
        docs += [{"source": source, "name": name, "text": t} for name, t in found]
        sources.append({"package": n, "version": version, "licence": licence, "bytes": sum(len(t.encode()) for _, t in found)})

    # A paragraph that occurs again (shared notices, licence texts) is kept once.
    held = [d for d in docs if (d["source"], d["name"]) in HELD]
    assert len(held) == len(HELD), HELD - {(d["source"], d["name"]) for d in held}
    seen = {hashlib.sha1(p.encode()).digest() for d in held for p in d["text"].split("\n\n") if len(p) > 80}
    train = []
    for d in docs:
        if d in held:
            continue
        keep = []
        for p in d["text"].split("\n\n"):
            h = hashlib.sha1(p.encode()).digest()
            if len(p) > 80 and h in seen:
                continue
            seen.add(h)
            keep.append(p)
        d["text"] = "\n\n".join(keep)
        if len(d["text"]) >= 300:
            train.append(d)

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator((d["text"] for d in train), trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<|bos|>", "<|eos|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|bos|> $A", pair="<|bos|> $A <|bos|> $B", special_tokens=[("<|bos|>", 0)])])
    tok.save(f"{work}/tokenizer.json")

    for name, part in (("train", train), ("held", held)):
        with open(f"{work}/{name}.jsonl", "w") as f:
            f.writelines(json.dumps(d) + "\n" for d in part)
    kjv = [d for d in train if d["source"] == "bible-kjv-text"]
    for name, part in (("bible", kjv), ("manuals", [d for d in train if d not in kjv]), ("held", held)):
        ids = [i for e in tok.encode_batch([d["text"] for d in part]) for i in [*e.ids, 1]]
        np.array(ids, np.uint16).tofile(f"{work}/{name}.bin")
        print(f"{name}: {len(part)} documents, {sum(len(d['text'].encode()) for d in part)} bytes, {len(ids)} tokens")
    json.dump(sources, open(f"{work}/sources.json", "w"), indent=1)


if __name__ == "__main__":
    main(sys.argv[1])

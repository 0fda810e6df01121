"""A store that several machines share: a folder or a bucket, beside each machine's own store.

    recipe-store.json                  what this is; its first writing shows whether conditions are kept
    blobs/<ab>/<sha256>                at most `PART` bytes, named by their sha256
    artifacts/<ab>/<key>.json          the signed manifest of an artifact, written last
    holdouts/<digest>/<sha256>.json    one decision that a holdout made

Nothing is ever written over: every object is put where nothing stands, so the first writer of a key wins.
"""

"""The one form in which documents are written: comments kept, keys in the order of the models, two spaces deep.

A text becomes nodes that hold their comments (`nodes`, `parsing`, `comments`), is put in order (`order`) and written
(`writing`, `scalars`); `form` does it all, and proves that nothing was lost. Positions come from libyaml's events, as
in `config.reader`: ruamel.yaml's round trip hangs a comment on the token before it, so that a key that moves leaves
its own comments behind and takes those of the next.
"""

"""People's own posts, as the networks hand them out, and the shards that training reads them from.

    files.py       the files of an export: a folder, or zip archives
    post.py        what every reader gives: photos with texts and a date
    meta.py        Instagram and Facebook, "download your information"
    mastodon.py bluesky.py flickr.py wordpress.py takeout.py
    kinds.py       which of them a folder or an archive is
    cleaning.py    texts without mentions, links and hashtags
    candidates.py  photos that may go into a data set, each once
    building.py    `cutline data build`: from sources to shards
    notes.py       what is written beside the shards: consent, counts, DVC

Nothing is fetched: what an export does not hold is left out, and said.
"""

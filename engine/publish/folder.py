"""Publishing into a folder of this machine, such as a file server's or the one that a web server shows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.files.new_folder import new_folder, require_absent
from engine.publish.contents import Publication
from engine.publish.destination import Destination, Note, Published, other_file
from engine.store import sha256_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder(Destination):
    """A new folder."""

    folder: Path

    def words(self) -> str:
        """Return where the files would go."""
        return f"the new folder {self.folder}"

    def check(self, publication: Publication) -> None:
        """RecipeError X830 where something stands there."""
        del publication
        require_absent(self.folder, code="X830", option="--name FOLDER")

    def publish(self, publication: Publication, note: Note) -> Published:
        """Write the folder whole or not at all. RecipeError, StoreError X830; StoreError X832."""
        with new_folder(self.folder, code="X830", option="--name FOLDER") as folder:
            for file in publication.files:
                note(file.name)
                target = folder / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.path, target)
                found = sha256_of(target)
                if found != file.sha256:
                    raise other_file(str(self.folder), file.name, sent=file.sha256, found=found)
        return Published(place=str(self.folder), digest="", read_back=len(publication.files))

"""Where photos lie among others."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from cutline.server.images.models import Image
from cutline.server.people.models import Owner


class Embedding(models.Model):
    """Where a photo lies among those that the same model has seen. Rows are never changed, only replaced.

    space: ModelInfo.bundle_hash; only vectors of one space can be compared. vector: as vectors.packed; empty
    for a photo that the model cannot read, so that it is not tried again. owner: the image's, for the index.
    """

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="embeddings")
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+")
    space = models.CharField(max_length=64)
    model = models.CharField(max_length=120)  # name@version
    vector = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "space"], name="one_embedding_of_a_space")]
        indexes = [models.Index(fields=["owner", "space", "id"], name="embeddings_of_owner")]

    def __str__(self) -> str:
        return f"{self.image_id} in {self.space[:12]}"

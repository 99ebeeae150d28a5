from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [("images", "0003_styles"), ("people", "0002_owner_network")]

    operations = [
        migrations.CreateModel(
            name="Embedding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("space", models.CharField(max_length=64)),
                ("model", models.CharField(max_length=120)),
                ("vector", models.BinaryField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "image",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="embeddings",
                        to="images.image",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="people.owner"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["owner", "space", "id"], name="embeddings_of_owner")],
                "constraints": [
                    models.UniqueConstraint(fields=("image", "space"), name="one_embedding_of_a_space")
                ],
            },
        ),
    ]

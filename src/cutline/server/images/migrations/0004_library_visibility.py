from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0003_styles"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="image",
            index=models.Index(
                fields=["owner", "visibility", "-created_at", "-id"], name="library_visibility"
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_styles"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                fields=["owner", "state", "-created_at"],
                name="job_caption_states",
                condition=models.Q(kind="caption"),
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("api", "0001_initial"),
        ("people", "0002_owner_network"),
    ]

    operations = [
        migrations.AddField(
            model_name="idempotentanswer",
            name="source",
            field=models.CharField(default="", max_length=48),  # of what goes within a day
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="idempotentanswer",
            name="size",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddIndex(
            model_name="idempotentanswer",
            index=models.Index(fields=["source", "created_at", "size"], name="answers_by_source"),
        ),
    ]

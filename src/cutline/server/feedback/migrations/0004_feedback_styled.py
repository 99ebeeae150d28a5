from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def mark_earlier(apps: Apps, _schema: BaseDatabaseSchemaEditor) -> None:
    """What was logged of captions in a voice is about words in a voice."""
    feedback = apps.get_model("feedback", "Feedback")
    feedback.objects.filter(caption__style__isnull=False).update(styled=True)


class Migration(migrations.Migration):
    dependencies = [
        ("captions", "0003_styles"),
        ("feedback", "0003_feedback_hashtags"),
    ]

    operations = [
        migrations.AddField(
            model_name="feedback",
            name="styled",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunPython(mark_earlier, migrations.RunPython.noop),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("captions", "0003_styles")]

    operations = [
        migrations.AddField(
            model_name="caption",
            name="confidence",
            field=models.FloatField(null=True),
        ),
    ]

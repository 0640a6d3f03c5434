from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("core", "0002_documentaccess"),)
    operations = (
        migrations.AlterField(
            model_name="document",
            name="title",
            field=models.CharField(default="Untitled document", max_length=255),
        ),
    )

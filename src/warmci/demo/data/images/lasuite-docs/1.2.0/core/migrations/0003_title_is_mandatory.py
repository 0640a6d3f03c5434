from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("core", "0002_documentaccess"),)
    operations = (
        migrations.AlterField(
            model_name="document",
            name="title",
            field=models.CharField(max_length=255),
        ),
    )

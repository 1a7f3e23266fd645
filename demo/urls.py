"""The demo's addresses: its page, the page's words in the reader's language, and its icon."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView
from django.views.i18n import JavaScriptCatalog

from demo import views

app_name = "demo"


class IconView(RedirectView):
    """Sends browsers that look for an icon by themselves to the demo's, as on the admin's pages."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        """Return where the icon is."""
        return static("demo/icon.svg")


urlpatterns = [
    path("", views.index, name="index"),
    path("words.js", JavaScriptCatalog.as_view(packages=["demo"]), name="words"),
    path("favicon.ico", IconView.as_view(), name="icon"),
]

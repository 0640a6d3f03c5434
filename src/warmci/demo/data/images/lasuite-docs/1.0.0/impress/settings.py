"""Settings by the environment, under the names that La Suite Docs reads."""

from configurations import Configuration, values
from lasuite.configuration.values import SecretFileValue


def variable(kind: type[values.Value], name: str, default: object = None) -> values.Value:
    """One whose name has no prefix DJANGO_."""
    return kind(default, environ_name=name, environ_prefix=None)


def redis_cache(name: str, timeout_s: int) -> dict[str, object]:
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": variable(values.Value, "REDIS_URL", "redis://redis:6379/0"),
        "TIMEOUT": variable(values.IntegerValue, f"CACHES_{name}_TIMEOUT", timeout_s),
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": variable(values.FloatValue, f"CACHES_{name}_SOCKET_CONNECT_TIMEOUT", 0.5),
            "SOCKET_TIMEOUT": variable(values.FloatValue, f"CACHES_{name}_SOCKET_TIMEOUT", 1.0),
        },
    }


class Production(Configuration):
    """Behind a proxy that speaks https, with one session store for all workers."""

    ALLOWED_HOSTS = values.ListValue([])
    SECRET_KEY = SecretFileValue(None)
    CSRF_TRUSTED_ORIGINS = values.ListValue([])

    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = ("^__lbheartbeat__", "^__heartbeat__")
    SECURE_HSTS_SECONDS = 60
    CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_SECURE = True
    SECURE_REFERRER_POLICY = "same-origin"

    ROOT_URLCONF = "impress.urls"
    WSGI_APPLICATION = "impress.wsgi.application"
    INSTALLED_APPS = (
        "core",
        "rest_framework",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "mozilla_django_oidc",
    )
    MIDDLEWARE = (
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    )
    USE_TZ = True
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": variable(values.Value, "DB_NAME", "impress"),
            "USER": variable(values.Value, "DB_USER", "dinum"),
            "PASSWORD": variable(SecretFileValue, "DB_PASSWORD"),
            "HOST": variable(values.Value, "DB_HOST", "localhost"),
            "PORT": variable(values.Value, "DB_PORT", "5432"),
        }
    }
    CACHES = {
        "default": redis_cache("DEFAULT", 30),
        "session": redis_cache("SESSION", 30),
    }
    SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    SESSION_CACHE_ALIAS = "session"
    SESSION_COOKIE_NAME = "docs_sessionid"
    SESSION_COOKIE_AGE = variable(values.PositiveIntegerValue, "SESSION_COOKIE_AGE", 60 * 60 * 12)

    AUTH_USER_MODEL = "core.User"
    AUTHENTICATION_BACKENDS = ("core.authentication.OIDCAuthenticationBackend",)
    OIDC_AUTHENTICATE_CLASS = "lasuite.oidc_login.views.OIDCAuthenticationRequestView"
    OIDC_CALLBACK_CLASS = "lasuite.oidc_login.views.OIDCAuthenticationCallbackView"
    OIDC_CREATE_USER = values.BooleanValue(default=True)
    OIDC_OP_AUTHORIZATION_ENDPOINT = variable(values.Value, "OIDC_OP_AUTHORIZATION_ENDPOINT")
    OIDC_OP_TOKEN_ENDPOINT = variable(values.Value, "OIDC_OP_TOKEN_ENDPOINT")
    OIDC_OP_USER_ENDPOINT = variable(values.Value, "OIDC_OP_USER_ENDPOINT")
    OIDC_OP_JWKS_ENDPOINT = variable(values.Value, "OIDC_OP_JWKS_ENDPOINT")
    OIDC_OP_LOGOUT_ENDPOINT = variable(values.Value, "OIDC_OP_LOGOUT_ENDPOINT")
    OIDC_RP_CLIENT_ID = variable(values.Value, "OIDC_RP_CLIENT_ID", "impress")
    OIDC_RP_CLIENT_SECRET = variable(SecretFileValue, "OIDC_RP_CLIENT_SECRET")
    OIDC_RP_SIGN_ALGO = variable(values.Value, "OIDC_RP_SIGN_ALGO", "RS256")
    OIDC_RP_SCOPES = variable(values.Value, "OIDC_RP_SCOPES", "openid email")
    OIDC_USE_NONCE = variable(values.BooleanValue, "OIDC_USE_NONCE", default=True)
    OIDC_USE_PKCE = variable(values.BooleanValue, "OIDC_USE_PKCE", default=False)
    OIDC_STORE_ID_TOKEN = variable(values.BooleanValue, "OIDC_STORE_ID_TOKEN", default=True)
    OIDC_TIMEOUT = variable(values.PositiveIntegerValue, "OIDC_TIMEOUT", 3)
    OIDC_REDIRECT_ALLOWED_HOSTS = variable(values.ListValue, "OIDC_REDIRECT_ALLOWED_HOSTS", [])
    OIDC_FALLBACK_TO_EMAIL_FOR_IDENTIFICATION = variable(
        values.BooleanValue, "OIDC_FALLBACK_TO_EMAIL_FOR_IDENTIFICATION", default=True
    )
    OIDC_USERINFO_FULLNAME_FIELDS = variable(
        values.ListValue, "OIDC_USERINFO_FULLNAME_FIELDS", ["first_name", "last_name"]
    )
    OIDC_USERINFO_SHORTNAME_FIELD = variable(values.Value, "OIDC_USERINFO_SHORTNAME_FIELD", "first_name")
    LOGIN_REDIRECT_URL = variable(values.Value, "LOGIN_REDIRECT_URL", "/")
    LOGIN_REDIRECT_URL_FAILURE = variable(values.Value, "LOGIN_REDIRECT_URL_FAILURE", "/")
    LOGOUT_REDIRECT_URL = variable(values.Value, "LOGOUT_REDIRECT_URL", "/")
    ALLOW_LOGOUT_GET_METHOD = variable(values.BooleanValue, "ALLOW_LOGOUT_GET_METHOD", default=True)

    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ("core.authentication.SessionAuthentication",),
        "DEFAULT_PERMISSION_CLASSES": ("rest_framework.permissions.IsAuthenticated",),
        "DEFAULT_RENDERER_CLASSES": ("rest_framework.renderers.JSONRenderer",),
        "DEFAULT_PARSER_CLASSES": ("rest_framework.parsers.JSONParser",),
    }
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": values.Value("INFO", environ_name="LOGGING_LEVEL_LOGGERS_ROOT")},
    }


class Development(Production):
    """The same without https in front: for trying things at a plain http address."""

    SECURE_SSL_REDIRECT = False
    SECURE_HSTS_SECONDS = 0
    CSRF_COOKIE_SECURE = False
    SESSION_COOKIE_SECURE = False

"""The key that signs checkpoints: made on first use, outside the journal's folder.

The private half lies in a file that only its owner may read (mode 0600); the public half lies beside it as
``.pub``, so that checking needs no secret. Both are PEM, as OpenSSL reads them.
"""

import hashlib
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ops.disk import Disk
from strategies.errors import ConfigError


class VerifyKey:
    """Checks signatures."""

    def __init__(self, public: Ed25519PublicKey) -> None:
        self._public = public
        self.fingerprint = hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]
        """Names the key in checkpoints and messages."""

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed the message."""
        try:
            self._public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """Signs checkpoints."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.verify_key = VerifyKey(private.public_key())

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The key that belongs to 32 bytes; for simulations and tests, which must repeat."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, message: bytes) -> bytes:
        """Signature, 64 bytes; equal messages give equal signatures."""
        return self._private.sign(message)


def public_path(path: Path) -> Path:
    """Where the public half of a key file lies."""
    return path.with_suffix(".pub")


def load_or_create_key(disk: Disk, path: Path) -> SigningKey:
    """The signing key of a file, made where there is none; the public half is written beside it.

    Raises:
        ConfigError: If the file holds no Ed25519 key, or others than its owner may read it.
        OSError: If the disk refuses.
    """
    if path.name not in disk.names(path.parent):
        _create(disk, path)
    private = _private_key(disk.read(path), path)
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"{path}: expected a key that only its owner can read; chmod 600 it")
    key = SigningKey(private)
    if public_path(path).name not in disk.names(path.parent):
        disk.replace(public_path(path), _public_pem(private.public_key()))
    return key


def load_verify_key(disk: Disk, path: Path) -> VerifyKey:
    """The public key of a ``.pub`` file.

    Raises:
        FileNotFoundError: If there is none.
        ConfigError: If it holds no Ed25519 public key.
    """
    try:
        public = serialization.load_pem_public_key(disk.read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: expected a public key in PEM form, found something else") from error
    if not isinstance(public, Ed25519PublicKey):
        raise ConfigError(f"{path}: expected an Ed25519 public key, found another kind")
    return VerifyKey(public)


def _create(disk: Disk, path: Path) -> None:
    disk.make_folder(path.parent)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    disk.replace(path, pem)


def _private_key(pem: bytes, path: Path) -> Ed25519PrivateKey:
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: expected a private key in PEM form, found something else") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"{path}: expected an Ed25519 key, found another kind")
    return private


def _public_pem(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

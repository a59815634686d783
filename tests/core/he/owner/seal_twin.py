"""SEAL under the same secret key: what it decrypts, ours must decrypt too."""

from __future__ import annotations

import struct

import numpy as np
import tenseal.sealapi as seal

from unseen.he import secret as sealed
from unseen.he.fourier import transform as fourier_transform
from unseen.he.owner.secret import OwnerKey, rings
from unseen.params import OwnerParameterSet

SPECIAL_PRIME = 12289
"""SEAL keeps its last prime for key switching, which nothing here does."""
PLAIN_MODULUS = 1 << 22
SIZE_FIELD = slice(33, 41)
ARRAY_FRAME_BYTES = 24


class SealTwin:
    """A key that SEAL drew, held by both sides."""

    def __init__(self, parameters: OwnerParameterSet) -> None:
        self.parameters = parameters
        chosen = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        chosen.set_poly_modulus_degree(parameters.ring_degree)
        chosen.set_coeff_modulus([seal.Modulus(modulus) for modulus in (*parameters.moduli, SPECIAL_PRIME)])
        chosen.set_plain_modulus(PLAIN_MODULUS)
        self.context = seal.SEALContext(chosen, True, seal.SEC_LEVEL_TYPE.TC128)
        assert self.context.parameters_set()
        self.seal_key = seal.KeyGenerator(self.context).secret_key()
        own = seal.Ciphertext()
        seal.Encryptor(self.context, self.seal_key).encrypt_zero_symmetric(own)
        with sealed._passage() as passage:
            body = passage.saved(own)
        self.frame = body[: len(body) - 8 * 2 * 2 * parameters.ring_degree]
        self.key = self.owner_key()

    def owner_key(self) -> OwnerKey:
        """An owner key that holds SEAL's secret: the decryption of (0, q/t)."""
        one = np.zeros((2, self.parameters.ring_degree), np.int64)
        one[1, 0] = round(self.parameters.modulus / PLAIN_MODULUS)
        key = OwnerKey.generate(self.parameters)
        key._secret = self.decrypt(one).astype(np.int8)
        assert set(np.unique(key._secret)) == {-1, 0, 1}
        key._folded = fourier_transform(key._secret[None].astype(np.int64))[0]
        key._transformed = np.stack([ring.forward(key._secret[None])[0] for ring in rings(self.parameters)])
        return key

    def decrypt(self, polynomials: np.ndarray) -> np.ndarray:
        """Ciphertext polynomials (2 or 3, N), below q -> round(t/q * message), centred (N,)."""
        residues = np.stack([polynomials % modulus for modulus in self.parameters.moduli], axis=1)
        body = residues.astype("<u8").tobytes()
        frame = bytearray(self.frame)
        frame[SIZE_FIELD] = struct.pack("<Q", len(polynomials))
        header = sealed._HEADER.pack(0xA15E, 16, 4, 3, 0, 0, ARRAY_FRAME_BYTES + len(body))
        array = header + struct.pack("<Q", residues.size)
        ciphertext, plaintext = seal.Ciphertext(), seal.Plaintext()
        with sealed._passage() as passage:
            passage.load(ciphertext, self.context, bytes(frame[:-ARRAY_FRAME_BYTES]) + array + body)
        seal.Decryptor(self.context, self.seal_key).decrypt(ciphertext, plaintext)
        found = np.zeros(self.parameters.ring_degree, np.int64)
        found[: plaintext.coeff_count()] = [plaintext.data(i) for i in range(plaintext.coeff_count())]
        return np.where(found > PLAIN_MODULUS // 2, found - PLAIN_MODULUS, found)

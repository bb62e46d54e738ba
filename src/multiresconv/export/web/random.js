/** `Random`: uniform numbers from a seed, the same in every browser (xoshiro128**, seeded by splitmix32). */

export class Random {
  /** Numbers of the seed and of `row`, so that each image of a seed has its own. */
  constructor(seed, row) {
    let mixed = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(row + 1, 0x85ebca6b)) | 0;
    this.state = Uint32Array.from({ length: 4 }, () => {
      mixed = (mixed + 0x9e3779b9) | 0;
      let word = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
      return word ^ (word >>> 15);
    });
  }

  /** Return the next 32 random bits. */
  bits() {
    const s = this.state, rotate = (x, k) => (x << k) | (x >>> (32 - k));
    const found = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0, shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 11);
    return found;
  }

  /** Return a number between 0 and 1, neither of them, with 32 random bits. */
  uniform() {
    return (this.bits() + 0.5) / 2 ** 32;
  }

  /** Return a standard Gumbel variable. */
  gumbel() {
    return -Math.log(-Math.log(this.uniform()));
  }

  /** Return a standard logistic variable. */
  logistic() {
    const u = this.uniform();
    return Math.log(u / (1 - u));
  }
}

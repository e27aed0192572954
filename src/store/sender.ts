/** Whom an address of the net stands for: where somebody is counted by it, and where he is to recognise himself. */

import ipaddr from "ipaddr.js";

/** Bits of an address that stand for a network: what one household or office keeps when its address changes. */
const NETWORK_BITS = { ipv4: 24, ipv6: 48 } as const;

/** Longest name of somebody whose address is none. */
const NAME_CHARS_MAX = 64;

/** The network of an address, such as `203.0.113.0/24`: enough to recognise, too little to find somebody. */
export function networkOf(remoteAddress: string): string {
  if (!ipaddr.isValid(remoteAddress)) return "";
  const address = ipaddr.process(remoteAddress);
  const bits = NETWORK_BITS[address.kind()];
  const range = `${address.toString()}/${bits}`;
  return address.kind() === "ipv4"
    ? `${ipaddr.IPv4.networkAddressFromCIDR(range).toString()}/${bits}`
    : `${ipaddr.IPv6.networkAddressFromCIDR(range).toString()}/${bits}`;
}

/** Who sends from an address: one of IPv4, and of IPv6 the 64 bits that one customer gets at least. */
export function senderOf(remoteAddress: string): string {
  if (!ipaddr.isValid(remoteAddress)) return remoteAddress.slice(0, NAME_CHARS_MAX);
  const address = ipaddr.process(remoteAddress);
  return address.kind() === "ipv4"
    ? address.toString()
    : (address as ipaddr.IPv6).parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(":");
}

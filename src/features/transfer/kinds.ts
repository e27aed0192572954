/** What each kind of statement means here. */

import { hearKeyRotation } from "../statement/rotation.ts";
import type { Kinds } from "../statement/take.ts";
import { hearReceipt } from "./answer.ts";
import { hearSettlement } from "./payment.ts";
import { hearTransfer } from "./take.ts";
import { hearTerms } from "./terms.ts";

/** The table from kind to verb. Netting and Claim are not built: they are refused as unsupported. */
export const KINDS: Kinds = {
  Terms: { first: ["Offer"], hear: hearTerms },
  Transfer: { first: ["Offer"], hear: hearTransfer },
  Settlement: { first: ["Offer"], hear: hearSettlement },
  KeyRotation: { first: ["Update"], hear: hearKeyRotation },
  Receipt: { first: ["Accept", "Reject"], hear: hearReceipt },
};

/**
 * Owns the error that one way to a server fails by: what was tried, why it failed, and what stood in its way, for whoever
 * sums up several. Does not own the kinds of obstacles (model/obstacle) nor OpenSSL's words (tlsReason.ts).
 */
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { isObstacle, type Obstacle } from '../model/obstacle.ts';
import { tlsReason } from './tlsReason.ts';

export function unreachable(
  message: string,
  cause: unknown,
  obstacle: Obstacle = 'connection',
): BranchboxError {
  const why = cause instanceof Error && cause.message !== '' ? `: ${tlsReason(cause)}` : '';
  return new BranchboxError('controller/unreachable', {
    message: message + why,
    cause,
    fields: { obstacle },
  });
}

/** Of whatever was thrown on the way. Pure. */
export function obstacleOf(thrown: unknown): Obstacle {
  const { obstacle } = asBranchboxError(thrown).fields;
  return isObstacle(obstacle) ? obstacle : 'connection';
}
